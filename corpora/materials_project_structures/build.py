"""Build from Materials Project structures, out of a folder of JSON lines: motif tables in minutes, sentences in hours.

The folder holds ``mp_oxides-*.jsonl.gz`` and ``mp_nonoxides-*.jsonl.gz``; each line is an object with ``id``,
``lattice`` (Å, rows are vectors), ``species``, ``frac_coords`` and ``properties``. Either build can be interrupted.
"""

import argparse
from pathlib import Path

import yaml

from matembed import Card, build_corpus, build_motif_tables

PATTERNS = ("mp_oxides-*.jsonl.gz", "mp_nonoxides-*.jsonl.gz")

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with " + " and ".join(PATTERNS))
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus, or of the tables")
    parser.add_argument("--motifs", action="store_true", help="build motif tables instead of sentences")
    parser.add_argument("--limit", type=int, help="only the first structures")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args()

    files = [path for pattern in PATTERNS for path in sorted(options.folder.glob(pattern))]
    if not files:
        parser.error(f"{options.folder} holds no {' or '.join(PATTERNS)}")
    card = yaml.safe_load(Path(__file__).with_name("card.yaml").read_text(encoding="utf-8"))
    settings = {
        "card": Card.from_dict(card | {"source": f"{card['source']}, {card['url']}"}),
        "limit": options.limit,
        "workers": options.workers,
        "overwrite": options.overwrite,
    }
    try:
        if options.motifs:
            print(build_motif_tables(files, options.out, **settings))
        else:
            print(build_corpus(files, options.out, kind="structures", **settings))
    except (OSError, ValueError) as error:
        parser.error(str(error))
