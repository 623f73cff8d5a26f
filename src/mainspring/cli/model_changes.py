"""`mainspring model register`, `rename`, `tag`, `delete`, `restore` and `retain`."""

from __future__ import annotations

from pathlib import Path

import click

from mainspring.cli.output import ago, bytes_text, echo_json, json_option, show_table, store_options, use_client
from mainspring.models.types import RetentionRule

__all__ = ["delete", "register", "rename", "restore", "retain", "tag"]


@click.command()
@click.argument("name")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--run", "run_id", default="", help="The run that made it.")
@click.option("--data", multiple=True, help="A dataset it was trained on; may be repeated.")
@click.option("--description", default="", help="In words.")
@json_option
@store_options
def register(
    name: str,
    folder: Path,
    store: str,
    url: str,
    run_id: str,
    data: tuple[str, ...],
    description: str,
    *,
    as_json: bool,
) -> None:
    """Register a folder with a saved model (a manifest.json of ours, or an MLmodel) as the next version.

    \b
    mainspring model register flight-delay ./model --data flights@3
    """
    with use_client(store, url, create=True) as client:
        made = client.models.register_folder(name, folder, run_id=run_id, data=data, description=description)
    if as_json:
        echo_json(made)
    else:
        click.echo(f"{made.ref}  {made.format}  {bytes_text(made.size)}")


@click.command()
@click.argument("name")
@click.argument("to")
@store_options
def rename(name: str, to: str, store: str, url: str) -> None:
    """Call a model otherwise; references by the old name go on working.

    \b
    mainspring model rename flight-delay late-flights
    """
    with use_client(store, url) as client:
        click.echo(f"model/{client.models.rename(name, to).name}")


@click.command()
@click.argument("ref")
@click.argument("key")
@click.argument("value", default="")
@store_options
def tag(ref: str, key: str, value: str, store: str, url: str) -> None:
    """Set a tag of a model, or of a version (name@3); without a value, take it away.

    \b
    mainspring model tag flight-delay team ops
    """
    with use_client(store, url) as client:
        tags = (
            client.models.tag_version(ref, key, value).tags if "@" in ref else client.models.tag(ref, key, value).tags
        )
    click.echo(", ".join(f"{name}={text}" for name, text in tags.items()) or "no tags")


@click.command()
@click.argument("ref")
@store_options
def delete(ref: str, store: str, url: str) -> None:
    """Delete a version (name@3) or a whole model (name); `restore` undoes it for a while.

    \b
    mainspring model delete flight-delay@2
    """
    with use_client(store, url) as client:
        gone = client.models.delete_version(ref).ref if "@" in ref else f"model/{client.models.delete(ref).name}"
    click.echo(f"{gone} is deleted; mainspring model restore {gone.removeprefix('model/')}")


@click.command()
@click.argument("ref")
@store_options
def restore(ref: str, store: str, url: str) -> None:
    """Bring a deleted version (name@3) or model (name) back, with the aliases that are still free.

    \b
    mainspring model restore flight-delay@2
    """
    with use_client(store, url) as client:
        if "@" in ref:
            version = client.models.restore_version(ref)
            click.echo(f"{version.ref}  {', '.join(version.aliases)}".rstrip())
        else:
            click.echo(f"model/{client.models.restore(ref).name}")


@click.command()
@click.argument("name", default="")
@click.option("--last", default=0, help="Keep the newest so many.")
@click.option("--days", default=0, help="Keep those younger than so many days.")
@click.option("--set", "remember", is_flag=True, help="Keep this as the rule of the model, and delete nothing now.")
@click.option("--dry-run", is_flag=True, help="Say which would go, and do nothing.")
@json_option
@store_options
def retain(
    name: str, store: str, url: str, last: int, days: int, *, remember: bool, dry_run: bool, as_json: bool
) -> None:
    """Delete old versions that nobody needs; what is aliased, approved, staged or deployed stays.

    \b
    mainspring model retain flight-delay --last 10 --dry-run
    mainspring model retain flight-delay --last 10 --set
    mainspring model retain
    """
    rule = RetentionRule(last=last, days=days) if last or days else None
    with use_client(store, url) as client:
        if remember:
            client.models.set_retention(name, rule=rule)
            click.echo(f"the rule of {name or 'every model'} is kept" if rule else "the rule is taken away")
            return
        gone = client.models.retain(name, rule=rule, dry_run=dry_run)
    if as_json:
        echo_json(gone)
        return
    rows = [(f"{each.name}@{each.version}", bytes_text(each.size), ago(each.created_at)) for each in gone]
    show_table(("would go" if dry_run else "deleted", "size", "registered"), rows, empty="everything is kept")
