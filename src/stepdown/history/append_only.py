"""Triggers that refuse UPDATE and DELETE, in the words of each database."""

from collections.abc import Iterator

from stepdown.errors import InvalidValue

ACTS = ("UPDATE", "DELETE")


def triggers(dialect: str, tables: list[str]) -> Iterator[str]:
    """Yield the statements that make the tables append-only.

    Raises:
        InvalidValue: Nobody has said yet how this database refuses a change; history would not be safe in it.
    """
    if dialect not in WORDS:
        dialects = ", ".join(sorted(WORDS))
        raise InvalidValue(f"stepdown cannot make history append-only in {dialect}; use one of {dialects}.")
    before, each = WORDS[dialect]
    if before:
        yield before
    for table in tables:
        for act in ACTS:
            yield each.format(table=table, act=act, lower=act.lower())


WORDS: dict[str, tuple[str, str]] = {
    "sqlite": (
        "",
        'CREATE TRIGGER {table}_{lower} BEFORE {act} ON "{table}" '
        "BEGIN SELECT RAISE(ABORT, 'history is append-only: {table}'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION stepdown_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'history is append-only: %', TG_TABLE_NAME; END $$",
        'CREATE TRIGGER {table}_{lower} BEFORE {act} ON "{table}" '
        "FOR EACH STATEMENT EXECUTE FUNCTION stepdown_append_only()",
    ),
    "mysql": (
        "",
        "CREATE TRIGGER {table}_{lower} BEFORE {act} ON `{table}` FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'history is append-only: {table}'",
    ),
}
WORDS["mariadb"] = WORDS["mysql"]
