"""What each change of the recipe gains and costs, image by image against one baseline.

    python experiments/accuracy/ladder.py RUNG=SWEEP RUNG=SWEEP ... [--against RUNG] [--root DIR]

A rung is a sweep of one model with one change, of any seeds and folds. The first one, or that of --against, is the
baseline. Prints a Markdown table and draws `ladder.png`. `ladder.csv` keeps the rows: sweeps that are given replace
those of their names or are added, so that one more needs no other folder than its own and the baseline's. A baseline
that was compared with the rung below it keeps that difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import pandas as pd
import typer
from reading import Root, held_against, plain_errors, read
from steps import MEDIAN, Step, climb, entry_of, read_steps

from fetal_lm.atomic import write_text
from fetal_lm.errors import InputError
from fetal_lm.report import wording
from fetal_lm.report.comparison import PAIR_FIGURES
from fetal_lm.report.fairness import unfairness
from fetal_lm.report.forest import forest_picture
from fetal_lm.report.kept import named_folders, replaced
from fetal_lm.report.markdown import escape, table_lines
from fetal_lm.report.pairs import ROUNDED_TO, Pairs, with_verdicts
from fetal_lm.report.sections import FIGURE_NAMES, PAIR_NOTES

OUTPUT: Final = Path(__file__).with_name("ladder.png")

SHOWN: Final = ("hc_mae_mm", "bpd_mae_mm", "ofd_mae_mm", "mean_px")
"""Whose differences stand in the table; the CSV has mean_mm too."""

COST_HEADERS: Final = ("Training", "ms per image", "Parameters")


def main(
    sweeps: Annotated[list[str], typer.Argument(help="RUNG=FOLDER of finished sweeps.")],
    against: Annotated[str | None, typer.Option(help="The baseline's rung; the first one by default.")] = None,
    root: Root = None,
    output: Annotated[Path, typer.Option(help="The picture; the rows lie beside it.")] = OUTPUT,
) -> None:
    """Prints the table, keeps its rows and draws the picture."""
    kept = output.with_suffix(".csv")
    with plain_errors():
        earlier = read_steps(kept)
        folders = named_folders(sweeps)
        baseline = next(iter(folders)) if against is None else against
        if baseline not in folders:
            raise InputError(f"--against: expected one of {', '.join(folders)}, got {baseline!r}; give its sweep too")
        entries = {rung: entry_of(rung, read(folder, root)) for rung, folder in folders.items()}
        steps = earlier
        for rung, entry in entries.items():
            for warning in unfairness([entry]):
                typer.echo(f"> **Not fair:** {escape(f'{rung}: {warning}')}\n")
            new = climb(rung, entry, baseline, entries[baseline], held_against(root))
            if rung != baseline or not has_figures_of(new, steps):
                steps = replaced(steps, rung, new, name_of=lambda step: step.rung)
        for rung in outdated(earlier, steps):
            typer.echo(
                f"> **Outdated:** {escape(f'{rung} was compared with other results of its baseline; give it again')}\n"
            )
        pairs = Pairs(with_verdicts(map(_pair, filter(_is_compared, steps)), PAIR_FIGURES), ())
        typer.echo("\n".join([*_markdown(steps, pairs), "", *_notes(steps)]))
        write_text(kept, pd.DataFrame(steps).to_csv(index=False))
        drawn = forest_picture(pairs, output)
    typer.echo(f"\nwrote {kept}" + (f" and {output}" if drawn else ""))


def has_figures_of(new: Sequence[Step], steps: Iterable[Step]) -> bool:
    """Whether the rows have all of a rung's new values: a baseline that stands on a rung keeps its own difference."""
    values = {(step.rung, step.figure): step for step in steps}
    return all(
        (old := values.get((step.rung, step.figure))) is not None
        and old.hc_truth == step.hc_truth
        and abs(old.value - step.value) < 10**-ROUNDED_TO
        for step in new
    )


def outdated(earlier: Iterable[Step], steps: Sequence[Step]) -> list[str]:
    """Rungs that were kept from earlier calls and whose baseline has other figures now."""
    before = {(step.rung, step.figure): step for step in earlier}
    changed = {
        step.rung
        for step in steps
        if (step.rung, step.figure) in before and not has_figures_of([step], [before[step.rung, step.figure]])
    }
    kept = (step for step in steps if before.get((step.rung, step.figure)) is step)
    return list(dict.fromkeys(step.rung for step in kept if step.against in changed))


def _is_compared(step: Step) -> bool:
    return bool(step.against)


def _pair(step: Step) -> dict[str, Any]:
    return step._asdict() | {"first": step.against, "first_branch": "", "second": step.rung, "second_branch": ""}


def _markdown(steps: Sequence[Step], pairs: Pairs) -> list[str]:
    """A row per rung: its figures, its differences from the baseline, its cost."""
    names = [" ".join(FIGURE_NAMES[figure]) for figure in SHOWN]
    headers = ["Rung", "Against", *names, "Median error mm", *(f"{name}, difference" for name in names), *COST_HEADERS]
    found = {(row["second"], row["figure"]): row for row in pairs.table.to_dict("records")}
    cells = []
    for rung in dict.fromkeys(step.rung for step in steps):
        of_rung = {step.figure: step for step in steps if step.rung == rung}
        one = of_rung[MEDIAN]
        compared = of_rung[SHOWN[0]]
        against = f"{escape(compared.against)} ({compared.images} images)" if compared.against else ""
        seeds = f"{one.seeds} x {one.folds} folds" if one.folds > 1 else f"{one.seeds}"
        cells.append(
            [
                f"{escape(rung)} ({one.tested} images, seeds {seeds})",
                against,
                *(wording.number(of_rung[figure].value) for figure in (*SHOWN, MEDIAN)),
                *(_difference(found.get((rung, figure))) for figure in SHOWN),
                wording.duration(one.train_seconds),
                wording.number(one.ms_per_image),
                wording.millions(one.parameters),
            ]
        )
    return table_lines(headers, cells, texts=2)


def _difference(row: dict[Any, Any] | None) -> str:
    if row is None:
        return ""
    text = f"{wording.signed(row['difference'])} {wording.signed_interval(row['low'], row['high'])}".rstrip()
    return f"**{text}**" if row["verdict"] in ("second better", "second worse") else text


def _notes(steps: Sequence[Step]) -> list[str]:
    truths = {step.rung: step.hc_truth for step in steps}
    against = "; ".join(
        f"{truth} ({', '.join(rung for rung, one in truths.items() if one == truth)})"
        for truth in dict.fromkeys(truths.values())
    )
    return [
        "- px: of the frame squashed to 256 x 256. Bold: clear by test and interval, Holm over all rungs of a figure.",
        *(f"- {note}" for note in PAIR_NOTES[:2]),
        "- Training, ms per image: of one run, on average.",
        f"- HC is held against {escape(against)}.",
    ]


if __name__ == "__main__":
    typer.run(main)
