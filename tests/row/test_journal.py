"""The journal counts time, logs events and passes signals on."""

import json
import os
import signal
import threading

import pytest

from autoseg import records
from autoseg.contracts import Run, Settings
from autoseg.errors import Interrupted
from autoseg.events import Event
from autoseg.row import journal as journal_module
from autoseg.row.journal import Journal, memory_of_tree
from autoseg.workspace import Workspace


@pytest.fixture
def journal(tmp_path):
    return Journal(Workspace(tmp_path), Run(source="/somewhere", settings=Settings(), worked_s=100.0))


def test_events_are_logged_and_passed_on(tmp_path):
    seen = []
    made = Journal(Workspace(tmp_path), Run(source="/x", settings=Settings()), seen.append)
    with made:
        made(Event(stage="train", what="note", detail='a "quoted" word'))
    lines = Workspace(tmp_path).events.read_text().splitlines()
    assert [json.loads(line)["event"]["detail"] for line in lines] == ['a "quoted" word']
    assert [event.detail for event in seen] == ['a "quoted" word']


def test_time_worked_is_summed_over_restarts(tmp_path, journal, monkeypatch):
    monkeypatch.setattr(journal_module, "HEARTBEAT_S", 0.0)
    with journal:
        journal(Event(stage="train", done=1, total=2))
        stored = records.read(Workspace(tmp_path).run, Run)
        assert stored.worked_s >= 100.0
    after = records.read(Workspace(tmp_path).run, Run)
    assert after.worked_s >= stored.worked_s
    assert after.peak_memory_bytes > 1e6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_becomes_an_error_at_the_next_event(journal, number):
    before = signal.getsignal(number)
    with journal, journal.listening_for_signals():
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted) as caught:
            journal(Event(stage="train"))
    assert caught.value.exit_code == 5
    assert signal.getsignal(number) is before


def test_a_signal_is_answered_before_the_work_in_hand_is_done(tmp_path):
    seen = []
    made = Journal(Workspace(tmp_path), Run(source="/x", settings=Settings()), seen.append)
    with made, made.listening_for_signals():
        os.kill(os.getpid(), signal.SIGINT)
        assert [event.stage for event in seen] == ["SIGINT"]
        assert "once more stops at once" in seen[0].detail


def test_a_second_signal_stops_at_once(journal):
    with journal.listening_for_signals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_off_the_main_thread_no_signal_is_touched(journal):
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with journal.listening_for_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_memory_of_tree_sees_an_allocation():
    before = memory_of_tree()
    block = bytearray(os.urandom(1)) * 64_000_000
    assert memory_of_tree() - before > 50_000_000
    del block
