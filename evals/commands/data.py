"""``td-gym data``: download published data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from evals.download import MIRROR, download, multiwoz_files

DESCRIPTION = """\
Download the published data of a scenario, for its option data_dir.

multiwoz: the official files of MultiWOZ 2.2 and its tables, then ConvLab's zips of 2.1 with the goals;
about 280 MiB. What is there already is checked and kept, a download that was broken off goes on, and
nothing is taken whose size or checksum is not the published one.
"""
EXAMPLES = """\
example:
  td-gym data multiwoz --dest data/multiwoz
"""
_SETS = {"multiwoz": multiwoz_files}


def add(commands: Any) -> None:
    """Add the subcommand to ``commands``."""
    parser = commands.add_parser("data", help="download published data", description=DESCRIPTION, epilog=EXAMPLES)
    parser.add_argument("name", choices=sorted(_SETS), help="the data set")
    parser.add_argument("--dest", type=Path, required=True, metavar="DIR", help="folder to put the files into")
    parser.add_argument(
        "--mirror", default=MIRROR, metavar="URL", help="a copy of raw.githubusercontent.com to download from"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Download what is missing and say where it is."""
    files = _SETS[args.name]()
    download(files, args.dest, args.mirror)
    print(f"{len(files)} files in {args.dest}, all as published")
    return 0
