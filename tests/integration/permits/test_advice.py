"""An authority in shadow mode judges as ever and grants nothing; no holder takes it for more."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from permit_world import BOTH, Site, a_cause, an_order, authority_app, client_of, route_to

from services.intake.application.grant_permit import ShadowModeError, grant_permit
from services.intake.application.place_hold import place_hold
from services.intake.domain.permits import PermitRequest
from shared.contracts.vocabulary import Gate, Service
from shared.permits.holder import Mode
from shared.permits.press_start import Go, StartRefused
from shared.ports import HttpAnswer

pytestmark = pytest.mark.integration
INFUSION = Service.INFUSION_SCHEDULING


def in_shadow(site: Site, *, holders: Mode = "shadow") -> Site:
    """The site with an authority in shadow mode, and holders in a mode of their own."""
    site.authority = replace(site.authority, advises_only=True)
    client = client_of(authority_app(site.authority))
    for service in BOTH:
        route = route_to(client, f"service:{service.value}")

        async def answer(*args: object, route: object = route) -> HttpAnswer:
            found: HttpAnswer = await route(*args)  # type: ignore[operator] # the route of the loop
            return replace(found, headers={**found.headers, "tandem-mode": "shadow"})

        site.wire.routes[f"http://intake-for-{service.value}"] = answer
        holder = site.holders[service]
        site.holders[service] = replace(holder, authority=replace(holder.authority, mode=holders))
    return site


async def advice_of(site: Site, case_id: UUID) -> list[tuple[str, list[str]]]:
    rows = await site.query(
        Service.INTAKE,
        "SELECT would_be, reasons FROM permit_advice WHERE case_id = $1 ORDER BY asked_at",
        case_id,
    )
    return [(row["would_be"], [r["code"] for r in row["reasons"]]) for row in rows]


async def nothing_began(site: Site, case_id: UUID) -> bool:
    permits = await site.query(
        Service.INTAKE,
        "SELECT 1 FROM permit WHERE case_id = $1 AND gate = 'infusion'", case_id,
    )  # fmt: skip
    return not permits and await site.starts(INFUSION, case_id) == []


@pytest.mark.parametrize("holders", ["shadow", "demo", "live"])
async def test_what_would_be_granted_is_told_and_starts_nothing_whatever_the_holders_mode(
    site: Site, holders: Mode
) -> None:
    in_shadow(site, holders=holders)
    case_id = await site.open_case()

    answer = await site.press(case_id)

    assert isinstance(answer, StartRefused)
    assert (answer.status, answer.code) == (409, "advisory")
    assert "shadow mode" in answer.title
    assert answer.reasons == ({"code": "advisory", "would_be": "granted"},)
    assert await advice_of(site, case_id) == [("granted", [])]
    assert await nothing_began(site, case_id)
    told = set(await site.event_names(Service.INTAKE, case_id))
    assert not told & {"permit-granted", "permit-denied"}


async def test_what_would_be_refused_is_told_with_every_reason(site: Site) -> None:
    in_shadow(site)
    case_id = await site.open_case()
    await place_hold(site.authority, an_order(case_id, gates={Gate.INFUSION}), a_cause())
    site.record.behind.add(Service.MANUFACTURING)

    answer = await site.press(case_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "advisory"
    assert answer.reasons[0] == {"code": "advisory", "would_be": "refused"}
    assert [r["code"] for r in answer.reasons[1:]] == ["hold-open", "unknown-source"]
    assert await advice_of(site, case_id) == [("refused", ["hold-open", "unknown-source"])]
    assert await nothing_began(site, case_id)


async def test_a_press_is_advised_once(site: Site) -> None:
    in_shadow(site)
    case_id = await site.open_case()
    permit_id = uuid4()
    await site.press(case_id, permit_id=permit_id)

    again = await site.press(case_id, permit_id=permit_id)

    assert isinstance(again, StartRefused)
    assert again.code == "permit-asked"
    assert len(await advice_of(site, case_id)) == 1


async def test_an_authority_in_shadow_mode_grants_nothing_when_asked_past_its_endpoint(
    site: Site,
) -> None:
    in_shadow(site)
    case_id = await site.open_case()
    press = await site.a_press(case_id)
    request = PermitRequest(
        press.permit_id, case_id, press.gate, INFUSION, press.subject_id, 1, press.dose_id,
        press.seen, "nurse-1",
    )  # fmt: skip

    with pytest.raises(ShadowModeError):
        await grant_permit(site.authority, request, a_cause())


async def test_a_planted_authority_that_grants_although_it_says_shadow_is_not_obeyed(
    site: Site,
) -> None:
    in_shadow(site, holders="live")
    site.authority = replace(site.authority, advises_only=False)
    route = route_to(client_of(authority_app(site.authority)), f"service:{INFUSION.value}")

    async def grants(*args: object) -> HttpAnswer:
        found: HttpAnswer = await route(*args)
        return replace(found, headers={**found.headers, "tandem-mode": "shadow"})

    site.wire.routes[f"http://intake-for-{INFUSION.value}"] = grants
    case_id = await site.open_case()

    answer = await site.press(case_id)

    assert isinstance(answer, StartRefused)
    assert answer.code == "mode-mixed"
    assert await site.starts(INFUSION, case_id) == []


async def test_the_same_press_is_a_go_where_authority_and_holder_are_live(site: Site) -> None:
    route = site.wire.routes[f"http://intake-for-{INFUSION.value}"]

    async def live(*args: object) -> HttpAnswer:
        found = await route(*args)
        return replace(found, headers={**found.headers, "tandem-mode": "live"})

    site.wire.routes[f"http://intake-for-{INFUSION.value}"] = live
    holder = site.holders[INFUSION]
    site.holders[INFUSION] = replace(holder, authority=replace(holder.authority, mode="live"))

    assert isinstance(await site.press(await site.open_case()), Go)
