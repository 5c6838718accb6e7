"""The Gymnasium view: one seat is the learner and writes its messages, the others are simulated."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Space

from td_gym.envs.base import ConversationEnv
from td_gym.envs.spaces import action_space, observation_space


class DialogueEnv(ConversationEnv[str]):
    """A conversation between a service agent and a customer, from one seat.

    ## Description
    A simulated customer opens the conversation; the learner answers, message by message, until the
    matter is closed.  Which matter, which tools and which rules: the scenario's, and the seat's
    briefing tells them.

    ## Action Space
    `OpenText(4096)`: the seat's next message.  Optional parts, in any order:
    `<think>...</think>` (shown to no one), `<response>...</response>` (the words),
    `<action>NAME key=value ...</action>` (a tool call; `chat` means none).  Text without these three
    tags is a response.  No text raises; anything that is not a `str` raises `TdGymError`.

    A *format error* ends the conversation and costs `format`; `info["outcome"]["error"]` says what was
    wrong: a tag that is not closed, an unknown action, an argument the action does not have, or a text
    over `max_chars`.  A *wrong value* of an argument the action has does not end it: the tool answers
    with an error message, which the seat reads in `<tool_result>`, and the conversation goes on.

    ## Observation Space
    `Dict(observation=Box(0, 1, float32), text=OpenText)`: the seat's screen as numbers
    (`scenario.feature_names`), and all that the seat may read.  `info["messages"]` holds the same as
    chat messages.

    ## Starting State
    `reset(seed=s)` fixes persona, case and wording; any non-negative seed is valid, in every split.
    `reset(options={"scenario": i})` picks row `i` of the scenario file, always.  A reset without a
    seed draws the next one from `np_random`.

    ## Rewards
    The seat's session reward, paid when it is known (`scenario.reward_ranges`).
    `info["rewards"]` holds the named turn terms of the learner's message.

    ## Costs
    `info["cost"]` is this step's increment of the budgeted cost, `info["costs"]` the increments of
    all named costs.  `td_gym.envs.wrappers.SafetyStep` returns the cost as sixth value of `step`.

    ## Episode End
    *Terminated*: the customer is done or hung up, the conversation was handed over, or a message was
    malformed.  *Truncated*: `max_turns` service turns.  The last `info` holds `outcome`.

    ## Arguments
    - `population`: whom one meets (`scenario.populations`), by default the first.
    - `split="train"`: `train`, `validation` or `test` customers.
    - `customer`: name of the simulated customer (`scenario.customers`), by default the first, or `llm:MODEL@URL`, a
      language model on a server; or a policy with `reply_batch(episodes)` (`td_gym.seats.SeatPolicy`).
    - `models`: the servers it is asked through (`td_gym.llm.Models`), by default its own, which `close` leaves.
    - `seat="service"`: the learner's seat; with `customer`, the reference agent serves.
    - `max_turns`, `max_chars`: limits on service turns and on a message's length.
    - `transfer=False`: offer the tool that hands the conversation over to a colleague.
    - `disclosure="honest"`: `honest` (a sincere question whether one talks to a machine is never denied) or `paper`.
    - `debug=False`: add the hidden case to `info["debug"]`.
    - `render_mode`: `ansi` (the transcript as text) or `None`.
    - All others are options of the scenario, `transfer` and `disclosure` of those that are service desks.  FoodDispute
      takes `scenarios`, a file of cases in place of the synthetic ones; MultiWOZ takes `data_dir`, the folder with its
      published data.

    ## Version History
    - v0: first version.
    """

    def _spaces(self) -> tuple[Space[str], Space[dict[str, Any]]]:
        return action_space(self.scenario), observation_space(self.scenario)

    def step(self, action: str) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Send the seat's message and return what the seat reads when it is asked again."""
        (step,) = self._batch.step((0,), (action,))
        return step.observation, step.reward, step.terminated, step.truncated, step.info
