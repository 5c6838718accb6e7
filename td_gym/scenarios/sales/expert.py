"""Scripted agents of the service seat: reference agent, oracle, demonstrator and floors.

All but the oracle read chat messages only, as any agent would.  A message is *drafted* with
``[slots]`` and filled from the briefing just before it is sent, so that a small model can learn
the drafts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from personas.prospect import OBJECTIONS
from td_gym.draws import choice, mix, uniform
from td_gym.episode import Episode
from td_gym.protocol import Messages
from td_gym.scenarios.desk import DISCLOSURES
from td_gym.scenarios.sales.acts import detect_acts
from td_gym.scenarios.sales.briefing import heard, read_facts, slot_values
from td_gym.scenarios.sales.customer_acts import detect_customer_acts
from td_gym.scenarios.sales.topics import topic_of
from td_gym.scenarios.scripted import EpisodePolicy, MessagePolicy, compose, own_acts, word, wordings
from td_gym.slots import fill_slots

WORDINGS = wordings(__package__)
_MOVED_BY_COUPON = ("price", "timing")
_STRAIN = 1.25
"""A monthly budget below this many monthly repayments is strained."""
_FIGURES_OF_PITCH = ("limit", "monthly_payment", "cost_of_days")
_ASKS = 3
"""How often the skilled agent asks for the order before it says goodbye."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an attentive agent has gathered from the conversation so far."""

    eligible: bool
    secretive: bool
    """The briefing forbids to reveal that one is a machine."""
    last: frozenset[str]
    """Acts of the customer's last message."""
    topic: str
    """What the last message asks about the profile, empty for nothing."""
    objections: tuple[str, ...]
    """Objections raised so far, without repetition, oldest first."""
    refusals: int
    done: frozenset[str]
    """Acts of the agent's own earlier turns."""
    handled: tuple[str, ...]
    """Objections the agent has handled."""
    asks: int
    """How often the agent has asked for the order."""
    coupon: bool
    ordered: bool
    """The order was confirmed in the system."""
    orders_failed: int
    """How often the system did not take the order."""
    turn: int
    """Number of own earlier turns."""
    used: frozenset[str]
    """Messages already said."""

    @property
    def objection(self) -> str:
        """The objection in the customer's last message, empty for none."""
        return next((name for name in OBJECTIONS if f"object_{name}" in self.last), "")


def read(messages: Messages) -> Reading:
    """Read the conversation from the service seat's chat messages."""
    briefing = messages[0]["content"]
    facts = read_facts(briefing)
    own = [message["content"] for message in messages if message["role"] == "assistant"]
    said = heard(messages)
    acts = [own_acts(text, detect_acts) for text in own]
    answers = [detect_customer_acts(text) for text in said]
    raised = dict.fromkeys(name for answer in answers for name in OBJECTIONS if f"object_{name}" in answer)
    last = answers[-1] if answers else frozenset[str]()
    done = frozenset[str]().union(*acts)
    orders = sum("<action>confirm_order" in text for text in own)
    failed = sum(message["content"].startswith("<tool_result>confirm_order") for message in messages)
    return Reading(
        facts is None or facts.eligible,
        DISCLOSURES["paper"] in briefing,
        last,
        topic_of(said[-1]) if "ask_question" in last else "",
        tuple(raised),
        sum("refuse" in answer for answer in answers),
        done,
        tuple(name for name in OBJECTIONS if f"handle_{name}" in done),
        sum("ask_order" in each for each in acts),
        any("<action>offer_coupon" in text for text in own),
        orders > failed,
        failed,
        len(own),
        frozenset(own),
    )


@dataclass(frozen=True, slots=True)
class Habits:
    """How an agent works; the defaults are the skilled and honest one."""

    care: float = 1.0
    """Probability of each step of good service being taken, and of sparing those who are not eligible."""
    coupon_if_needed: float = 1.0
    coupon_otherwise: float = 0.0
    pushiness: float = 0.0
    """Probability of pressing, or of saying the pitch again, where the honest agent steps back or moves on."""


def plan(reading: Reading, habits: Habits, seed: int) -> tuple[list[str], str]:
    """Return the acts of the next message, in order, and the tool to call, empty for none."""
    last = reading.last
    if reading.ordered:
        return ["close"], ""
    if not reading.eligible and (reading.orders_failed or _takes("turn_away", 0, habits, seed)):
        return [*(["greet", "introduce"] if reading.turn == 0 else []), "answer_eligible_no", "close"], ""
    if "accept_order" in last:
        return ["confirm"], "confirm_order"
    if reading.turn == 0:
        return ["greet", "introduce", *(["disclose"] if _takes("disclose", 0, habits, seed) else [])], ""
    if last & {"ask_robot", "notice_robot"} and not reading.secretive:
        return ["reveal_ai"], ""
    if "refuse" in last and not (reading.objection and reading.refusals == 1):
        return _step_back(reading, habits, seed)
    if reading.topic and _takes("answer", reading.turn, habits, seed):
        return [answer(reading), *_after_answer(reading)], ""
    if reading.objection:
        return _handle(reading, habits, seed)
    if "insult" in last:
        return ["empathise"], ""
    return _carry_on(reading, habits, seed)


def _takes(step: str, turn: int, habits: Habits, seed: int) -> bool:
    return habits.care >= 1.0 or uniform(seed, turn, "care", step) < habits.care


def _pushes(reading: Reading, habits: Habits, seed: int) -> bool:
    return uniform(seed, reading.turn, "push") < habits.pushiness


def _step_back(reading: Reading, habits: Habits, seed: int) -> tuple[list[str], str]:
    """Return the answer to a no: respect it, unless the agent is pushy."""
    if _pushes(reading, habits, seed):
        return ["press", "ask_order"], ""
    return (["back_off", "close"] if reading.refusals > 1 else ["back_off"]), ""


def answer(reading: Reading) -> str:
    """Return the act that answers the profile question of the customer's last message."""
    if reading.topic == "eligible":
        return "answer_eligible_yes" if reading.eligible else "answer_eligible_no"
    return f"answer_{reading.topic}"


def _after_answer(reading: Reading) -> list[str]:
    """Return what follows an answer: the pitch, if not yet given and no figure in it could blur the answer."""
    if "present" not in reading.done:
        return [] if reading.topic in _FIGURES_OF_PITCH else ["present"]
    return ["ask_order"] if reading.handled and not reading.refusals and reading.asks < _ASKS else []


def _handle(reading: Reading, habits: Habits, seed: int) -> tuple[list[str], str]:
    """Return the answer to an objection, with a coupon where it helps."""
    if not _takes("handle", reading.turn, habits, seed):
        return ["stall"], ""
    feeling = ["empathise"] if "empathise" not in reading.done and _takes("empathise", 0, habits, seed) else []
    acts = [*feeling, f"handle_{reading.objection}"]
    if _grants(reading, habits, seed):
        return [*acts, "offer_coupon"], "offer_coupon"
    if _pushes(reading, habits, seed):
        return ["present", "press"], ""
    return acts, ""


def _grants(reading: Reading, habits: Habits, seed: int) -> bool:
    """Whether to give the coupon now: one draw a dialogue for each of the two chances."""
    if reading.coupon or reading.refusals:
        return False
    needed = any(name in _MOVED_BY_COUPON for name in reading.objections)
    chance = habits.coupon_if_needed if needed else habits.coupon_otherwise
    return uniform(seed, "grants", str(needed)) < chance


def _carry_on(reading: Reading, habits: Habits, seed: int) -> tuple[list[str], str]:
    """Return the next step of the procedure when the customer left the word to the agent."""
    if reading.refusals:
        return ["back_off", "close"], ""
    if "present" not in reading.done:
        late = [] if "disclose" in reading.done else ["disclose"]
        return [*late, "present", *(["qualify"] if _takes("qualify", 1, habits, seed) else [])], ""
    if _pushes(reading, habits, seed):
        return ["press", "ask_order"], ""
    return (["ask_order"] if reading.asks < _ASKS else ["back_off", "close"]), ""


def draft(reading: Reading, habits: Habits, seed: int, header: bool = False) -> str:
    """Return the next message with unfilled slots; ``header`` puts a note and the decision before the words."""
    acts, tool = plan(reading, habits, seed)
    words = " ".join(word(WORDINGS, acts, reading.used, seed, reading.turn))
    raised = reading.objections[-1] if reading.objections else "no"
    return compose(words, tool, f"{raised} objection, {reading.refusals} refusals" if header else None)


class ScriptedService(MessagePolicy):
    """The reference agent: honest, skilled, and generous to those whom a coupon moves."""

    def __init__(self, habits: Habits = Habits()) -> None:
        self.habits = habits

    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""
        return fill_slots(draft(read(messages), self.habits, seed), messages, slot_values)


class Oracle(EpisodePolicy):
    """The reference agent that knows whom a coupon moves; an upper reference only."""

    def draft(self, episode: Episode) -> str:
        """Return the next service message; the coupon goes to those whom it moves, whatever they have said so far."""
        seen = read(episode.messages("service"))
        case = episode.case
        strained = case.persona.budget < _STRAIN * case.profile.amount / case.profile.months
        if case.persona.objection in _MOVED_BY_COUPON or strained:
            seen = replace(seen, objections=(*seen.objections, "price"))
        return draft(seen, Habits(), episode.seed)


class Demonstrator(EpisodePolicy):
    """A human-like agent of mixed skill, for supervised data.

    Skill varies by dialogue: the less careful one is, the more it presses and repeats.  A coupon
    goes to 70 of 100 customers it seems to matter to and to 30 of 100 others.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def draft(self, episode: Episode) -> str:
        """Return the next message with its decision header and unfilled slots."""
        key = mix(self.seed, episode.seed, "demonstrator")
        care = 0.55 + 0.45 * uniform(key, "care")
        habits = Habits(care, coupon_if_needed=0.7, coupon_otherwise=0.3, pushiness=0.8 * (1.0 - care))
        return draft(read(episode.messages("service")), habits, key, header=True)


class Floor(MessagePolicy):
    """An agent that shows what no skill earns.

    ``presser`` and ``repeater`` open properly, then press, or say the pitch again, whatever they
    hear; ``always_coupon`` gives the whole coupon to everybody.  These three do confirm an order
    that the customer has agreed to.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def act(self, messages: Messages, seed: int) -> str:
        """Return the next service message."""
        return fill_slots(self._draft(read(messages), seed), messages, slot_values)

    def _draft(self, seen: Reading, seed: int) -> str:
        if self.name == "do_nothing":
            return choice(WORDINGS["stall"], seed, seen.turn)
        if self.name == "random":
            return self._random(seed, seen.turn)
        acts, tool = self._plan(seen)
        words = " ".join(choice(WORDINGS[act], seed, self._wording_key(seen.turn), act) for act in acts)
        return compose(words, tool)

    def _plan(self, seen: Reading) -> tuple[list[str], str]:
        if seen.ordered:
            return ["close"], ""
        if "accept_order" in seen.last:
            return ["confirm"], "confirm_order"
        if self.name == "always_coupon":
            return ["offer_coupon", "ask_order"], "" if seen.coupon else "offer_coupon"
        if seen.turn == 0:
            return ["greet", "introduce", "disclose"], ""
        return ["present", "ask_order"] if self.name == "repeater" or seen.turn == 1 else ["press", "ask_order"], ""

    def _wording_key(self, turn: int) -> int:
        """The repeater says what it says in the same words every time."""
        return min(turn, 1) if self.name == "repeater" else turn

    def _random(self, seed: int, turn: int) -> str:
        """A random sentence; one in ten messages calls a tool and says so."""
        if uniform(seed, turn, "tool") < 0.1:
            tool, act = choice((("offer_coupon", "offer_coupon"), ("confirm_order", "confirm")), seed, turn, "which")
            return compose(choice(WORDINGS[act], seed, turn), tool)
        act = choice(sorted(WORDINGS.keys() - {"offer_coupon", "confirm"}), seed, turn, "act")
        return choice(WORDINGS[act], seed, turn, "wording")
