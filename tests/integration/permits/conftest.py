"""Databases for the permit tests: migrated once, used by many tests, each with cases of its own."""

from collections.abc import AsyncIterator, Mapping

import pytest
from permit_world import BOTH, Site, a_site, authority_migrations, holder_migrations

from shared.contracts.vocabulary import Service
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.testing.infra import Infra


@pytest.fixture(scope="session")
async def permit_templates(infra: Infra) -> AsyncIterator[Mapping[Service, str]]:
    intake = await infra.create_database("permit_authority")
    await migrate(intake, authority_migrations())
    holder = await infra.create_database("permit_holder")
    await migrate(holder, holder_migrations())
    yield {Service.INTAKE: intake, **dict.fromkeys(BOTH, holder)}
    await infra.drop_database(intake)
    await infra.drop_database(holder)


async def _opened(
    infra: Infra, templates: Mapping[Service, str]
) -> AsyncIterator[dict[Service, PostgresDatabase]]:
    dsns = {
        service: await infra.create_database(f"permit_{service.value}", template=template)
        for service, template in templates.items()
    }
    opened = {s: await PostgresDatabase.open(dsn, size_max=6) for s, dsn in dsns.items()}
    yield opened
    for service, database in opened.items():
        await database.close()
        await infra.drop_database(dsns[service])


@pytest.fixture(scope="session")
async def shared_databases(
    infra: Infra, permit_templates: Mapping[Service, str]
) -> AsyncIterator[dict[Service, PostgresDatabase]]:
    async for opened in _opened(infra, permit_templates):
        yield opened


@pytest.fixture(scope="session")
async def emptied_databases(
    infra: Infra, permit_templates: Mapping[Service, str]
) -> AsyncIterator[dict[Service, PostgresDatabase]]:
    async for opened in _opened(infra, permit_templates):
        yield opened


@pytest.fixture
def site(shared_databases: dict[Service, PostgresDatabase]) -> Site:
    """Databases shared with other tests: look only at cases of your own."""
    return a_site(shared_databases)


@pytest.fixture
async def own_site(emptied_databases: dict[Service, PostgresDatabase]) -> Site:
    """Empty databases that no other test uses meanwhile, for what touches all cases."""
    site = a_site(emptied_databases)
    await site.empty()
    return site
