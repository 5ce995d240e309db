"""Build the corpus of AFLOW prototype crystals: complete, offline, in seconds."""

import argparse
from pathlib import Path

import yaml

from matembed import Card, build_corpus, read_prototypes

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--limit", type=int, help="only the first crystals")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args()

    card = yaml.safe_load(Path(__file__).with_name("card.yaml").read_text(encoding="utf-8"))
    try:
        corpus = build_corpus(
            read_prototypes(limit=options.limit),
            options.out,
            card=Card.from_dict(card | {"source": f"{card['source']}, {card['url']}"}),
            workers=options.workers,
            overwrite=options.overwrite,
        )
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(corpus)
