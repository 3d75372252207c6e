"""The figures of ``nearline eval demand`` as tables."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from console.output import console

__all__ = ["show"]

_METRICS = ("HR@20", "NDCG@20", "Recall@20", "HR@50", "NDCG@50", "Recall@50")


def show(report: dict[str, Any], title: str) -> None:
    """Print the report."""
    writer = report["writer"]
    console.print(
        f"{title}: {writer['model']} ({writer['runtime']}), {writer['demands']:.1f} demands a shopper, "
        f"{writer['seconds'] * 1e3:.0f} ms and {writer['cpu_seconds'] * 1e3:.0f} CPU ms a set, "
        f"{writer['tokens_in']:.0f} tokens in and {writer['tokens_out']:.0f} out, "
        f"{writer['not_in_catalogue']:.1%} with a word no title has, rungs {writer['rungs']}",
        markup=False,
        highlight=False,
    )
    if "valid_unconstrained" in writer:
        console.print(f"unconstrained answers that are valid: {writer['valid_unconstrained']:.1%}")
    for name, part in report.items():
        if name == "writer":
            continue
        table = Table(title=f"{name}: {part['shoppers']:,} shoppers", title_justify="left")
        table.add_column("")
        for metric in _METRICS:
            table.add_column(metric, justify="right")
        for channel, values in part["channels"].items():
            table.add_row(
                channel,
                *(
                    f"{values[one].mean:.4f} ±{(values[one].high - values[one].low) / 2:.4f}"
                    for one in _METRICS
                ),
            )
        console.print(table)
        if "swap_ratio" in part:
            only = ", ".join(f"{one} {value.mean:.2f}" for one, value in part["exclusive"].items())
            console.print(
                f"recall@50 is {part['swap_ratio'].mean:.2f} times (95 %: {part['swap_ratio'].low:.2f} to {part['swap_ratio'].high:.2f}) "
                f"that of a swap, the mean of {len(part['swap_recall'])}; targets a shopper that only one finds: {only}"
            )
        for form, one in part.get("told", {}).items():
            console.print(
                f"{form}: {one['tokens']:.0f} tokens, raw {one['tokens_raw']:.0f}, {one['times_fewer']:.1f} times fewer "
                f"(medians of {one['shoppers_counted']:.0f} shoppers)"
            )
        for when, one in part.get("faults", {}).items():
            kinds = ", ".join(f"{name} {share:.1%}" for name, share in one["by_fault"].items())
            console.print(
                f"{when} judging: {one['demands']:.1f} demands a shopper, {one['faulty']:.1%} faulty ({kinds or 'none'})",
                markup=False,
                highlight=False,
            )
        for pair, values in part.get("differences", {}).items():
            shown = ", ".join(
                f"{metric} {value.mean:+.4f} [{value.low:+.4f}, {value.high:+.4f}]"
                for metric, value in values.items()
            )
            console.print(f"{pair}: {shown}", markup=False, highlight=False)
        if "times_best_content" in part:
            console.print(
                f"recall@50 is {part['times_best_content']:.2f} times the best content baseline's; {part['new_items']} new items"
            )
