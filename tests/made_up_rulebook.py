"""A made-up rulebook 1.1.0: the packaged one with numbers changed, rules added and retired."""

from importlib import resources

BOOK = resources.files("shared.protocol.rulebooks").joinpath("coordination.yaml")
SOURCE = "src: {st: local-policy, ref: R34}"
CHANGED = [
    ("  version: 1.0.0", "  version: 1.1.0"),
    ("effective_from: 2026-12-01", "effective_from: 2027-02-01"),
    ("anchor: last_dose, c: 14, i: 3,  lead: 5,", "anchor: last_dose, c: 14, i: 5,  lead: 6,"),
    ("infusion: {min: 30, review_min: 50}", "infusion: {min: 40, review_min: 50}"),
    ("cbc_differential,       collection: 3,  infusion: 3,", "cbc_differential, infusion: 2,"),
]  # fmt: skip
ADDED = [
    (
        "washouts:\n",
        f"  - {{id: WO-ADC, class: antibody_drug_conjugate, anchor: last_dose, c: 21, i: 7,"
        f" lead: 0, effect: hold, override: soft, by: [medical_director], {SOURCE}}}\n",
    ),
    (
        "\nlabs:\n",
        f"  - {{id: LAB-K, metric: potassium, unit: mmol/L, collection: null, infusion: {{min: 3.0,"
        f" max: 5.5}}, override: soft, by: [medical_director], {SOURCE}}}\n",
    ),
    ("\nunits:\n", "  potassium: {metrics: [potassium], factors: {mmol/L: 1}}\n"),
    (
        "\ninfection:\n",
        f"  - {{id: INF-016, title: transplant donor alert, condition: donor_alert,"
        f" scope: [infusion], effect: review, override: soft, by: [medical_director], {SOURCE}}}\n",
    ),
    ("\nevidence:\n", f"  - {{id: EV-ECG, item: ecg, collection: null, infusion: 30, {SOURCE}}}\n"),
    ("\nitems:\n", "  ecg: {owner: coordinator}\n"),
]
RETIRED = ("WO-ANTICOAG", "EV-PRIORTX", "ELIG-006")


def made_up() -> str:
    """The packaged rulebook with the changes, additions and retirements of 1.1.0."""
    text = BOOK.read_text("utf-8")
    for before, after in CHANGED:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    for section, row in ADDED:
        assert text.count(section) == 1, section
        text = text.replace(section, section + row)
    kept = [line for line in text.split("\n") if not _is_of(line, RETIRED)]
    return "\n".join(kept).replace("retired: []", f"retired: [{', '.join(RETIRED)}]")


def _is_of(line: str, rules: tuple[str, ...]) -> bool:
    return line.lstrip(" -").startswith(tuple(f"{{id: {rule}," for rule in rules))
