"""The command line: one module per family of verbs. The only place that prints and reads the environment."""

import typer

from autoseg.cli import data, machine, models, runs

app = typer.Typer(
    name="autoseg",
    help="From a folder of medical images and masks to a validated, deployable segmentation model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("run")(runs.run)
for stage in runs.STAGE_COMMANDS:
    app.command(stage.__name__, rich_help_panel="One stage of a run folder")(stage)
app.command("predict", rich_help_panel="Use a model")(models.predict)
app.command("evaluate", rich_help_panel="Use a model")(models.evaluate)
app.command("inspect", rich_help_panel="Look")(data.inspect)
app.command("status", rich_help_panel="Look")(runs.status)
app.command("doctor", rich_help_panel="Look")(machine.doctor)
app.command("demo")(runs.demo)
app.command("benchmark")(runs.benchmark)
