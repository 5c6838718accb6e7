"""Small data directories in the layouts in which MultiWOZ is published."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from td_gym.scenarios.multiwoz.database import Database

MESSAGE = [
    "You are looking for a <span class='emphasis'>train</span>. It goes to <span class='emphasis'>ely</span>.",
    "You are also looking for a <span class='emphasis'>place to dine</span>. It serves german food.",
    "If there is no such restaurant, how about one that serves <span class='emphasis'>thai</span> food",
    "You also need a <span class='emphasis'>place to stay</span> and a <span class='emphasis'>taxi</span>.",
    "You want to leave the <span class='emphasis'>hotel</span> by <span class='emphasis'>17:15</span>",
]
GOAL: dict[str, Any] = {
    "taxi": {"info": {"leaveAt": "17:15"}, "reqt": ["car type", "phone"], "fail_info": {}},
    "police": {},
    "hospital": {},
    "hotel": {"info": {"name": "inn"}, "fail_info": {"name": "other inn"}, "reqt": ["postcode", "internet"]},
    "restaurant": {
        "info": {"food": "thai", "area": "Center"},
        "fail_info": {"food": "german", "area": "Center"},
        "book": {"people": "4", "day": "friday", "time": "18:00", "invalid": False},
        "fail_book": {"time": "19:00"},
    },
    "train": {"info": {"destination": "ely", "leaveAt": "9:15"}, "fail_info": {}, "reqt": ["trainID"]},
    "message": MESSAGE,
}


def metadata(**area: str) -> dict[str, Any]:
    """Return a state of 2.1: the restaurant's ``area``, and a table for two."""
    return {
        "restaurant": {
            "semi": {"area": area.get("area", ""), "food": "not mentioned"},
            "book": {"booked": [{"name": "plum", "reference": "X"}], "people": "2", "day": "", "time": ""},
        },
        "bus": {"semi": {"day": "monday"}, "book": {"booked": []}},
    }


def record_21() -> dict[str, Any]:
    """Return one dialogue of 2.1."""
    return {
        "goal": GOAL,
        "log": [
            {
                "text": "In the center.",
                "metadata": {},
                "dialog_act": {"Restaurant-Inform": [["Area", "center"]]},
            },
            {
                "text": "There are 3.",
                "metadata": metadata(area="center|centre"),
                "dialog_act": {"Restaurant-Inform": [["Choice", "3"]], "Booking-Inform": [["none", "none"]]},
            },
            {"text": "Bye.", "metadata": {}, "dialog_act": {"general-bye": [["none", "none"]]}},
            {"text": "Bye.", "metadata": metadata(area="centre"), "dialog_act": "No Annotation"},
        ],
    }


def record_22() -> dict[str, Any]:
    """Return the same dialogue in 2.2."""
    said = {"restaurant-area": ["center", "centre"], "restaurant-bookpeople": ["2"]}
    frames = [
        {"service": "restaurant", "state": {"active_intent": "find_restaurant", "slot_values": said}},
        {"service": "bus", "state": {"active_intent": "NONE", "slot_values": {}}},
    ]
    texts = ["In the center.", "There are 3.", "Bye.", "Bye."]
    return {
        "dialogue_id": "MUL0001.json",
        "services": ["restaurant"],
        "turns": [
            {
                "turn_id": str(number),
                "speaker": ("USER", "SYSTEM")[number % 2],
                "utterance": text,
                "frames": frames if number % 2 == 0 else [],
            }
            for number, text in enumerate(texts)
        ],
    }


ACTS_22 = {
    "MUL0001.json": {
        "0": {"dialog_act": {"Restaurant-Inform": [["area", "center"]]}, "span_info": []},
        "1": {"dialog_act": {"Restaurant-Inform": [["choice", "3"]], "Booking-Inform": [["none", "none"]]}},
        "2": {"dialog_act": {"general-bye": [["none", "none"]]}},
    }
}


def write_21(folder: Path, split: str = "train", name: str = "MUL0001.json", **record: Any) -> Path:
    """Write ConvLab's zip of one dialogue, parts of which ``record`` replaces, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{split}.json.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{split}.json", json.dumps({name: {**record_21(), **record}}))
    return path


def write_22(folder: Path, split: str = "train", record: Any = None) -> Path:
    """Write the layout of 2.2 with one dialogue, and return the path of its file."""
    path = folder / split / "dialogues_001.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([record or record_22()]))
    (folder / "dialog_acts.json").write_text(json.dumps(ACTS_22))
    return path


def write_tables(folder: Path, database: Database) -> None:
    """Write the tables of a city as ``restaurant_db.json`` and so on."""
    folder.mkdir(parents=True)
    tables: dict[str, Any] = {domain: [*rows] for domain, rows in database.tables.items()}
    tables["taxi"] = [{"taxi_colors": ["red", "black"], "taxi_types": ["tesla", "skoda"]}]
    for domain, rows in tables.items():
        (folder / f"{domain}_db.json").write_text(json.dumps(rows), encoding="utf-8")
