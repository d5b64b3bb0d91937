"""`mlapi rollout`: the group of commands that move traffic from one version to the next."""

import click

from mlapi.cli import rollout_plan, rollout_report, rollout_start, rollout_status, rollout_verbs

COMMANDS = {
    "plan": rollout_plan.plan,
    "start": rollout_start.start,
    "hold": rollout_start.hold,
    "status": rollout_status.status,
    "watch": rollout_status.watch,
    "history": rollout_status.history,
    "report": rollout_report.report,
    "pause": rollout_verbs.pause,
    "resume": rollout_verbs.resume,
    "promote": rollout_verbs.promote,
    "abort": rollout_verbs.abort,
    "release": rollout_verbs.release,
}


class _Ordered(click.Group):
    """Lists its commands in the order in which a rollout meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(COMMANDS)


@click.group("rollout", cls=_Ordered, commands=COMMANDS)
def command() -> None:
    """Move traffic from one version to the next, step by step, and back at once when it goes wrong.

    A rollout gives the new version (the candidate) a small share of the requests and the old one (the
    control) the rest. Who sends a key, such as the header X-User-Id, always meets the same version. The
    share grows by the plan as long as nothing gets worse. Requests that name a version or a label are
    never touched. docs/rollouts.md teaches it from the beginning.

    \b
    Example, from a new version to all of the traffic:
      mlapi rollout hold house-prices              nobody meets what is published from now on
      mlapi publish house-prices model.joblib --sample rows.csv
      mlapi rollout start house-prices 3           1 %, 5 %, 25 %, 50 %, 100 %
      mlapi rollout watch house-prices
      mlapi rollout abort house-prices --why "support tickets"

    Exit codes: 0 done; 3 no such model, version or rollout; 4 the plan is refused; 5 a version cannot
    answer; 6 the rollout is not in a state for it, or another one is in the way.
    """

