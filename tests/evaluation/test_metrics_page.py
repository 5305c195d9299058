from tests.evaluation import metrics_page


def test_the_page_is_up_to_date():
    assert metrics_page.PAGE.read_text() == metrics_page.page(), "run: python -m tests.evaluation.metrics_page"
