"""The rulebook: typed, complete, and refused with its line when it contradicts itself."""

import ast
from importlib import resources
from pathlib import Path
from string import Formatter

import pytest

import shared.protocol
from shared.protocol import Gate, Protocol, load_protocol
from shared.protocol.loader import RulebookError, read_protocol, texts_at
from shared.protocol.rulebook.heads import is_role

HERE = resources.files("shared.protocol.rulebooks")
TEXTS = {
    name: HERE.joinpath(f"{name}.yaml").read_text("utf-8")
    for name in ("coordination", "codes", "sentences")
}
PACKAGE = Path(shared.protocol.__file__).parent


def read(**changed: str) -> Protocol:
    texts = {**TEXTS, **changed}
    return read_protocol(texts["coordination"], texts["codes"], texts["sentences"])


def line_of(text: str, name: str = "coordination") -> int:
    return TEXTS[name][: TEXTS[name].index(text)].count("\n") + 1


def test_the_packaged_protocol_is_a_draft_and_says_so() -> None:
    protocol = load_protocol()

    assert protocol.is_draft
    assert protocol.ref.to_json() == {
        "id": "cik-onc-coordination",
        "version": "1.0.0",
        "status": "draft",
    }


def test_every_rule_of_the_protocol_is_there_once() -> None:
    rules = load_protocol().rules

    expected = {
        *(f"ELIG-{n:03}" for n in range(1, 19)),
        *(f"STER-{n:03}" for n in range(1, 8)),
        *(f"INF-{n:03}" for n in range(1, 16)),
        *(f"DATA-{n:03}" for n in range(1, 11)),
        *(f"CLR-{n:03}" for n in range(1, 5)),
        *(f"MFG-{n:03}" for n in range(1, 7)),
        *(f"IFU-{n:03}" for n in range(1, 8)),
        *("IRAE-001", "IRAE-002", "COL-001", "COL-002", "RF-HOLD", "WO-STEROID"),
    }
    assert expected <= set(rules)
    assert sum(name.startswith("WO-") for name in rules) == 29
    assert sum(name.startswith("REL-") for name in rules) == 19
    assert sum(name.startswith("EV-") for name in rules) == 25


def test_roles_are_of_the_closed_list() -> None:
    for rule in load_protocol().rules.values():
        assert all(is_role(role) for role in rule.by), rule.id
    assert not is_role("surgeon")
    assert not is_role("consultant")
    assert is_role("consultant:surgery")
    assert is_role("service:emergency")


def test_a_rule_about_infusion_is_also_about_dose_issue() -> None:
    for rule in load_protocol().rules.values():
        assert (Gate.INFUSION in rule.scope) is (Gate.DOSE_ISSUE in rule.scope), rule.id


# rule, what its row says, what is planted there
PLANTED = [
    ("STER-001", "min_days: 7", "min_dais: 7"),
    ("STER-001", "over_mg: 10", "over_mg: 12"),
    ("WO-CHEMO", "c: 14", "c: fourteen"),
    ("WO-CHEMO", "by: [medical_director, oncologist]", "by: [head_chef]"),
    ("WO-CHEMO", "anchor: last_dose", "anchor: full_moon"),
    ("WO-CYCMTX", "{id: WO-CYCMTX", "{id: WO-CHEMO"),
    ("ELIG-001", "pathology_report, stage", "pathology_report, stagee"),
    ("ELIG-004", "scope: [eligibility", "scope: [kitchen"),
    ("ELIG-008", "ref: R15", "ref: R99"),
    ("ELIG-008", "st: verified", "st: guessed"),
    ("ELIG-008", "by: [medical_director], ", ""),
    ("ELIG-010", "override: hard", "override: hard, by: [oncologist]"),
    ("LAB-HB", "infusion: {min: 70", "infusion: {min: 90"),
    ("LAB-INR", "review_max: 1.3", "review_max: 1.7"),
    ("LAB-ANC", "metric: anc", "metric: anx"),
    ("EV-CBC", "item: cbc_differential", "item: cbc_differentiall"),
    ("INF-014", "metric: crp", "metric: crpp"),
    ("INF-005", "asymptomatic_72h", "asymptomatic_73h"),
    ("MFG-001", "review_h: 24", "review_h: 49"),
    ("MFG-004", "min_day: 14", "min_day: 29"),
    ("REL-CD3", "min: 80", "mim: 80"),
    ("SCH-HCC-ADJ", "n: 16", "n: 17"),
    ("RF-DYSP", "level: L4", "level: L9"),
]


@pytest.mark.parametrize(("rule", "before", "after"), PLANTED)
def test_an_inconsistent_rulebook_is_refused_with_its_line(
    rule: str, before: str, after: str
) -> None:
    lines = TEXTS["coordination"].split("\n")
    at = next(i for i, line in enumerate(lines) if f"{{id: {rule}," in line)
    assert before in lines[at]
    lines[at] = lines[at].replace(before, after, 1)

    with pytest.raises(RulebookError) as refused:
        read(coordination="\n".join(lines))

    assert refused.value.line == at + 1, str(refused.value)
    assert str(refused.value).startswith(f"coordination.yaml:{at + 1}:")


def test_yaml_that_is_not_sound_or_says_a_key_twice_is_refused_with_its_line() -> None:
    with pytest.raises(RulebookError) as refused:
        read(coordination=TEXTS["coordination"].replace("principles:", "principles: [", 1))
    assert refused.value.line > 1
    twice = TEXTS["coordination"].replace("  schema_version: 1\n", "  schema_version: 1\n" * 2)
    with pytest.raises(RulebookError) as refused:
        read(coordination=twice)
    assert refused.value.line == line_of("  schema_version: 1") + 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("time_zone: Europe/Istanbul", "time_zone: Europe/Atlantis"),
        ("  status: draft ", "  status: wild "),
        ("principles:\n", "principle:\n"),
        ("on_running_stop: [ELIG-004", "on_running_stop: [ELIG-404"),
        ("cockcroft_gault: {age_from: 140", "cockcroft_gault: {age_form: 140"),
        ("crp: [0, 700]", "crp: [700, 0]"),
        ("{drug: prednisone,         eq_mg: 5}", "{drug: prednisone,         eq_mg: 0}"),
    ],
)
def test_a_wrong_table_is_refused(before: str, after: str) -> None:
    assert before in TEXTS["coordination"]

    with pytest.raises(RulebookError):
        read(coordination=TEXTS["coordination"].replace(before, after, 1))


def test_a_code_that_names_no_rule_is_refused() -> None:
    with pytest.raises(RulebookError, match="WO-ICIX"):
        read(codes=TEXTS["codes"].replace("rules: [WO-ICI]", "rules: [WO-ICIX]", 1))


def test_a_new_version_changes_numbers_without_code() -> None:
    changed = (
        TEXTS["coordination"]
        .replace("  version: 1.0.0", "  version: 1.1.0", 1)
        .replace(
            "class: cytotoxic_systemic,    anchor: last_dose, c: 14",
            "class: cytotoxic_systemic,    anchor: last_dose, c: 21",
            1,
        )
    )

    protocol = read(coordination=changed)

    assert protocol.version == "1.1.0"
    chemotherapy = next(row for row in protocol.washouts if row.rule.id == "WO-CHEMO")
    assert chemotherapy.min_days[Gate.COLLECTION] == 21


def test_a_rule_of_a_known_kind_needs_no_code() -> None:
    row = (
        '  - {id: ELIG-019, title: "on dialysis", condition: dialysis, scope: [infusion], '
        "effect: hold, override: hard, src: {st: local-policy, ref: R34}}\n"
    )
    changed = TEXTS["coordination"].replace("information_topics:", f"{row}information_topics:", 1)

    assert "ELIG-019" in read(coordination=changed).rules


def test_a_rulebook_file_may_replace_the_packaged_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        TEXTS["coordination"].replace("  version: 1.0.0", "  version: 1.0.1", 1), "utf-8"
    )

    assert load_protocol(file).version == "1.0.1"


# Sentences


def _keys_in_code() -> set[str]:
    templates = load_protocol().sentences.templates
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {key for key in templates if key == node.value}
                found |= {key for key in templates if key.startswith(f"{node.value}.")}
    return found


def test_no_sentence_is_left_over() -> None:
    templates = set(load_protocol().sentences.templates)
    built = {key for key in templates if key.split(".")[0] in ("limit", "evidence", "require")}

    assert templates - _keys_in_code() - built == set()


BANNED = (
    "cure",
    "benefit",
    "effective against",
    "shrink",
    "response rate",
    "delay the",
    "postpone the",
    "skip",
    "stop the drug",
    "hope",
    "guarantee",
)


def test_no_sentence_promises_or_delays_standard_treatment() -> None:
    for key, template in load_protocol().sentences.templates.items():
        for banned in BANNED:
            assert banned not in template.lower(), (key, banned)


def test_templates_name_plain_fields_only() -> None:
    for key, template in load_protocol().sentences.templates.items():
        for _, field, spec, conversion in Formatter().parse(template):
            assert field is None or field.isidentifier(), key
            assert not spec, key
            assert conversion is None, key


# No clinical number in code


ALLOWED = {0, 1, -1}


def _numbers(path: Path) -> list[tuple[int, float]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        is_number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        if is_number and node.value not in ALLOWED:
            found.append((node.lineno, node.value))
    return found


def test_rules_hold_no_clinical_number() -> None:
    allowed = {
        ("answers.py", 2),  # two signatures
        ("data_quality.py", 20),  # ids that one finding lists
        ("known.py", 5000),  # answers that a record remembers
        ("limits.py", 2),  # two results differ
        ("measurements.py", 2),  # days that a date can span; places of a shown number
        ("steroids.py", 2),  # places of a shown number
        ("product.py", 2),
    }
    for path in sorted((PACKAGE / "rules").glob("*.py")):
        for line, number in _numbers(path):
            assert (path.name, number) in allowed, f"{path.name}:{line}: {number}"


def test_the_guard_sees_a_planted_number(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("LIMIT_MG = 10\n", "utf-8")

    assert _numbers(planted) == [(1, 10)]


def test_a_directory_is_read_with_what_it_lacks_from_the_package(tmp_path: Path) -> None:
    (tmp_path / "coordination.yaml").write_text(TEXTS["coordination"] + "# ours\n", "utf-8")
    (tmp_path / "sentences.yaml").write_text(TEXTS["sentences"] + "# ours\n", "utf-8")

    texts = texts_at(tmp_path)

    assert texts.coordination.endswith("# ours\n")
    assert texts.sentences.endswith("# ours\n")
    assert texts.codes == TEXTS["codes"]
    assert load_protocol(tmp_path).digest == texts.digest
