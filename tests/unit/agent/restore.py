"""A dumb iptables-restore --noflush: chains as lists of rules, changed by a text."""

from __future__ import annotations

Tables = dict[str, dict[str, list[str]]]


def fresh() -> Tables:
    return {"filter": {"INPUT": []}, "mangle": {"INPUT": []}}


def restore(tables: Tables, text: str) -> None:
    """Everything or nothing; raises where the real one would refuse."""
    table = ""
    committed = False
    changed: dict[str, list[str]] = {}
    for line in text.splitlines():
        match line.split(" ", 2):
            case [name] if name.startswith("*"):
                table = name.removeprefix("*")
                changed = {chain: list(rules) for chain, rules in tables[table].items()}
            case [chain, "-", "[0:0]"] if chain.startswith(":"):
                changed[chain.removeprefix(":")] = []
            case ["-A", chain, rule]:
                changed[chain].append(_checked(rule, changed))
            case ["-I", chain, rule]:
                position, rule = rule.split(" ", 1)
                changed[chain].insert(int(position) - 1, _checked(rule, changed))
            case ["-D", chain, rule]:
                changed[chain].remove(rule)
            case ["-X", chain]:
                assert not changed[chain], "not empty"
                assert not any(f"-j {chain}" in rule for c in changed.values() for rule in c)
                del changed[chain]
            case ["COMMIT"]:
                committed = True
            case _:
                raise ValueError(line)
    assert committed
    tables[table] = changed


def _target(rule: str) -> str:
    words = rule.split()
    return words[words.index("-j") + 1]


def _checked(rule: str, chains: dict[str, list[str]]) -> str:
    target = _target(rule)
    assert target in ("DROP", "REJECT", "NFQUEUE") or target in chains, f"no such chain: {target}"
    return rule


def verdict(chains: dict[str, list[str]], source: str, chain: str = "INPUT") -> str:
    """DROP, REJECT, NFQUEUE or ACCEPT for a TCP packet from ``source``."""
    for rule in chains[chain]:
        if rule.startswith("-s ") and rule.split()[1] != source:
            continue
        target = _target(rule)
        found = verdict(chains, source, target) if target in chains else target
        if found != "ACCEPT":
            return found
    return "ACCEPT"
