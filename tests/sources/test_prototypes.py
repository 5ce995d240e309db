from collections import Counter

from matembed.sources import PROTOTYPES_CARD, read_prototypes


def test_all_288_are_there_with_unique_ids_and_parse():
    rows = list(read_prototypes())
    assert len(rows) == read_prototypes().n_rows == 288
    assert len({row.id for row in rows}) == 288
    for row in rows:
        structure = row.to_structure()
        label, formula = row.id.split(":")
        assert formula == structure.reduced_formula
        # The Pearson symbol counts the atoms of the conventional cell; pymatgen ships primitive ones.
        pearson = label.split("_")[1]
        assert row.properties["pearson"] == pearson
        if formula != "U3Si":  # pymatgen ships its subcell, of four atoms
            assert len(structure) * {"P": 1, "C": 2, "A": 2, "I": 2, "F": 4, "R": 1}[pearson[1]] == int(pearson[2:])


def test_minerals_are_named_and_unknown_tags_left_out():
    rows = list(read_prototypes())
    minerals = {row.properties.get("mineral") for row in rows}
    assert {"Cinnabar", "Marcasite", "Hausmannite", "Stannite"} <= minerals
    values = Counter(value for row in rows for value in row.properties.values())
    assert values["None"] == values[""] == 0


def test_limit_and_card():
    assert len(list(read_prototypes(limit=3))) == 3
    assert PROTOTYPES_CARD.licence
    assert any("Mehl" in reference for reference in PROTOTYPES_CARD.citation)
