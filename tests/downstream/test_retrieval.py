import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from matembed import retrieval
from matembed.downstream.retrieval import cosines

RNG = np.random.default_rng(0)
LABELS = np.repeat(["rutile", "spinel", "perovskite"], 20)
CENTRES = np.repeat(RNG.standard_normal((3, 6)), 20, axis=0)


def scores(*arguments, **settings) -> dict[str, float]:
    return retrieval(*arguments, **settings).set_index("probe")["score"].to_dict()


def test_clusters_are_found_and_noise_is_not() -> None:
    found = scores(CENTRES + 0.01 * RNG.standard_normal((60, 6)), LABELS)
    assert set(found.values()) == {1.0}
    noise = retrieval(RNG.standard_normal((60, 6)), LABELS)
    assert noise["chance"].iloc[0] == pytest.approx(19 / 59)
    # Queries share their rows; the average precision of a random order is a little above the share.
    assert (abs(noise["score"] - 19 / 59) < 0.1).all()


def test_vectors_that_are_all_alike_or_one_hot_find_by_chance() -> None:
    for vectors in (np.ones((60, 3)), np.eye(60)):
        found = retrieval(vectors, LABELS)
        np.testing.assert_allclose(found["score"], found["chance"], rtol=1e-12)


def test_scores_are_those_of_scikit_learn_and_of_counting() -> None:
    vectors = CENTRES + RNG.standard_normal((60, 6))
    vectors[7] = vectors[23]  # a tie
    similarity = cosines(vectors)
    found = scores(vectors, LABELS)
    precise, nearest = [], []
    for row in range(60):
        others = np.arange(60) != row
        same = LABELS[others] == LABELS[row]
        precise.append(average_precision_score(same, similarity[row, others]))
        nearest.append(same[np.argsort(-similarity[row, others], kind="stable")[:10]].mean())
    assert found["mean_average_precision"] == pytest.approx(np.mean(precise), rel=1e-12)
    assert found["precision@10"] == pytest.approx(np.mean(nearest), abs=0.01)  # ties are broken otherwise


def test_the_order_of_rows_and_the_length_of_vectors_do_not_matter() -> None:
    vectors = np.round(CENTRES + RNG.standard_normal((60, 6)), 1)
    order = RNG.permutation(60)
    first, shuffled = scores(vectors, LABELS), scores(vectors[order] * 3 + 5, LABELS[order])
    for name, score in first.items():
        assert shuffled[name] == pytest.approx(score, rel=1e-9)  # sums in another order


def test_rows_of_the_same_group_are_left_out() -> None:
    formulas = np.arange(60) // 2  # pairs of the same formula and the same label
    vectors = np.repeat(RNG.standard_normal((30, 40)), 2, axis=0)
    assert scores(vectors, LABELS)["precision@1"] == 1
    assert scores(vectors, LABELS, groups=formulas)["precision@1"] < 0.6
    with pytest.raises(ValueError, match="no label of 60 rows is found again outside its group"):
        retrieval(vectors, formulas, groups=formulas)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="vectors must be a matrix of finite numbers"):
        retrieval([1.0, 2.0], ["a", "a"])
    with pytest.raises(ValueError, match="vectors must be a matrix of finite numbers"):
        retrieval(np.zeros((0, 3)), [])
    with pytest.raises(ValueError, match="labels must hold a label for each of 60 materials, got 5"):
        retrieval(CENTRES, LABELS[:5])
    with pytest.raises(ValueError, match="labels must hold a label for each of 60 materials, got 59"):
        retrieval(CENTRES, [None, *LABELS[1:]])
    with pytest.raises(ValueError, match="groups must hold a label for each of 60"):
        retrieval(CENTRES, LABELS, groups=LABELS[:5])
