"""A Grade as plain text for those who handed in: 79 columns, and no word of hidden checks."""

import textwrap

WIDTH = 79


def points(x):
    """Points without needless digits."""
    return f"{round(x, 2):g}"


def wrapped(text, indent="  "):
    return "\n".join(textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent,
                                   break_long_words=True)) if text else ""


def problems(checked):
    """What is wrong in one check, a line each."""
    if checked.failure:
        return [checked.failure]
    if checked.carried:
        return ["wrong only for a mistake made before: no points are lost here"]
    if len(checked.wrong) > 1 and not checked.earned and len(set(checked.wrong.values())) == 1:
        return [*set(checked.wrong.values())]
    return [f"{name}{':' * (';' in name)} {problem}" for name, problem in checked.wrong.items()]


def advice(finding, level):
    """What a student is told about a finding: lines."""
    if level == "none":
        return []
    if not finding.causes:
        return [finding.title]
    lines = []
    if level in ("concept", "formula"):
        kind = "another convention" if finding.verdict == "convention" else "what it looks like"
        kind += ", in most places" if finding.partly else ""
        lines.append(f"{kind}: {finding.title}")
    lines += finding.hint(level).splitlines()
    if finding.ties and level != "where":
        lines.append(f"the same numbers come from: {' or '.join(finding.ties[:3])}")
    return lines


def report(grade):
    """The Grade as plain text of at most 79 columns."""
    lines = [grade.title, f"{points(grade.score)} of {points(grade.most)} points", ""]
    for checked in grade.checks:
        most = points(checked.check.most)
        lines.append(f"{points(checked.earned):>5} / {most:<4} {checked.check.title}")
        if not checked.check.hidden:
            lines += [wrapped(text, " " * 13) for text in problems(checked)]
    unwritten = [finding.group for finding in grade.findings if finding.verdict == "unwritten"]
    if unwritten and grade.hints != "none":
        names = ", ".join(filter(None, unwritten))
        lines += ["", wrapped(f"not written yet{': ' * bool(names)}{names}", "")]
    groups = {}  # {what is told: the groups that it is told about}
    for finding in grade.findings:
        if finding.verdict == "unwritten":
            continue
        seen = any(not one.right and not one.check.hidden for one in grade.checks
                   if one.check.group == finding.group)
        told = advice(finding, grade.hints) if seen else []
        if told:
            groups.setdefault(tuple(told), []).append(finding.group or "all together")
    for told, names in groups.items():
        lines += ["", wrapped(", ".join(names), ""), *map(wrapped, told)]
    return "\n".join(lines) + "\n"
