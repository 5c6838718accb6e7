"""Names, cities and phone tails of customers, by locale.

A pool of identities is made once per locale with a seeded Faker and then indexed by keyed draws:
a Faker call per customer would cost more than the conversation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from personas.checks import PersonaError
from personas.draws import Stream

POOL_SIZE = 500
_POOL_SEED = 20260222
_FAMILY_NAME_FIRST = {"ja": "", "ko": "", "zh": "", "hu": " "}
_FOUR_DIGITS = re.compile(r"[0-9]{4}")


@dataclass(frozen=True)
class Identity:
    """A customer's name, city, last four digits of the phone number and locale (``en_US``)."""

    name: str
    city: str
    phone_tail: str
    locale: str

    def __post_init__(self) -> None:
        for key in ("name", "city", "locale"):
            value = getattr(self, key)
            if not isinstance(value, str) or not value.strip():
                raise PersonaError(f"Identity {key} must be a non-empty text, not {value!r}.")
        if not isinstance(self.phone_tail, str) or not _FOUR_DIGITS.fullmatch(self.phone_tail):
            raise PersonaError(f"Identity phone_tail must be 4 digits, not {self.phone_tail!r}.")


def identity(locale: str, draws: Stream) -> Identity:
    """Draw one of the 500 identities of ``locale``."""
    return draws.choice(_pool(locale))


def check_locale(locale: str) -> None:
    """Raise :class:`PersonaError` unless Faker knows ``locale``."""
    _pool(locale)


@cache
def _pool(locale: str) -> tuple[Identity, ...]:
    # Imported here: `import personas` must stay fast, and reading personas needs no Faker.
    from faker import Faker
    from faker.config import AVAILABLE_LOCALES

    if locale not in AVAILABLE_LOCALES:
        raise PersonaError(f"Unknown locale {locale!r}: use one that Faker knows, such as en_US.")
    fake = Faker(locale)
    fake.seed_instance(_POOL_SEED)
    space = _FAMILY_NAME_FIRST.get(locale.split("_")[0])
    pool = []
    for _ in range(POOL_SIZE):
        first, last = fake.first_name(), fake.last_name()
        name = f"{first} {last}" if space is None else f"{last}{space}{first}"
        pool.append(Identity(name, fake.city(), fake.numerify("####"), locale))
    return tuple(pool)
