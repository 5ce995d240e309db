import numpy as np
import pytest

from matembed.downstream.pooling import STATISTICS, Bags, pool, root_mean_square_distance

TOKENS = ("Ba", "Fe", "K", "La", "O", "S", "Sr", "Ti", "Zn")


def random_bags(n_bags: int, seed: int) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    bags = []
    for _ in range(n_bags):
        tokens = rng.permutation(TOKENS)[: rng.integers(1, len(TOKENS) + 1)]
        amounts = rng.integers(1, 9, len(tokens)) * rng.choice([1.0, 2.0, 0.25])
        bags.append({str(token): float(amount) for token, amount in zip(tokens, amounts, strict=True)})
    return bags


def features_by_definition(vectors: np.ndarray) -> np.ndarray:
    dim, rng = vectors.shape[1], np.random.default_rng(0)
    directions, phases = rng.standard_normal((dim, dim)), rng.uniform(0, 2 * np.pi, dim)
    return np.sqrt(2 / dim) * np.cos(vectors @ directions + phases)


def pooled_by_definition(
    bag: dict[str, float], vectors: dict[str, np.ndarray], features: dict[str, np.ndarray], n_units: float
) -> dict[str, np.ndarray]:
    total = sum(bag.values())
    mean = sum(amount / total * vectors[token] for token, amount in bag.items())
    variance = sum(amount / total * (vectors[token] - mean) ** 2 for token, amount in bag.items())
    smallest = np.min([vectors[token] for token in bag], axis=0)
    largest = np.max([vectors[token] for token in bag], axis=0)
    commonest = [vectors[token] for token, amount in bag.items() if amount == max(bag.values())]
    return {
        "mean": mean,
        "std": np.sqrt(variance),
        "min": smallest,
        "max": largest,
        "range": largest - smallest,
        "sum": sum(amount / n_units * vectors[token] for token, amount in bag.items()),
        "mode": np.mean(commonest, axis=0),
        "kernel_mean": sum(amount / total * features[token] for token, amount in bag.items()),
    }


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("dim", [1, 7, 3000])  # 3000: several chunks
def test_the_fast_pooling_is_the_definition(statistic: str, dim: int) -> None:
    amounts = random_bags(60, seed=1)
    bags = Bags.from_amounts(amounts)
    vectors = np.random.default_rng(2).standard_normal((len(bags.tokens), dim)) + 100
    by_token = dict(zip(bags.tokens, vectors, strict=True))
    features = dict(zip(bags.tokens, features_by_definition(vectors), strict=True))
    expected = [
        pooled_by_definition(bag, by_token, features, n_units)[statistic]
        for bag, n_units in zip(amounts, bags.n_units, strict=True)
    ]
    # Values are near 100 and sums of at most 72 of them: rounding is below 1e-11. Angles are below 1e5.
    np.testing.assert_allclose(pool(bags, vectors, [statistic]), expected, rtol=0, atol=1e-10)


def test_formula_units_are_the_common_divisor_of_whole_amounts() -> None:
    bags = Bags.from_amounts([{"H": 2, "O": 2}, {"H": 4, "O": 6}, {"H": 1.5, "O": 3}, {"O": 3}])
    assert bags.n_units.tolist() == [2, 2, 1, 3]


def test_rounding_of_amounts_changes_no_formula_unit() -> None:
    bags = Bags.from_amounts([{"Sr": 0.1 * 30, "Ti": 3, "O": 9 - 2e-15}, {"Fe": 1.0, "K": 1e-9}])
    assert bags.n_units.tolist() == [3, 1]


def test_a_batch_equals_its_members_bit_for_bit() -> None:
    amounts = random_bags(50, seed=3)
    by_token = dict(zip(TOKENS, np.random.default_rng(4).standard_normal((len(TOKENS), 300)), strict=True))

    def pooled(part: list[dict[str, float]]) -> np.ndarray:
        bags = Bags.from_amounts(part)
        return pool(bags, np.array([by_token[token] for token in bags.tokens]), STATISTICS)

    together = pooled(amounts)
    for row, bag in zip(together, amounts, strict=True):
        assert np.array_equal(row, pooled([bag])[0])


def test_order_of_tokens_does_not_matter_bit_for_bit() -> None:
    forward = {"Sr": 1.0, "Ti": 1.0, "O": 3.0, "K": 0.1}
    bags = Bags.from_amounts([forward, dict(reversed(forward.items()))])
    rows = pool(bags, np.random.default_rng(5).standard_normal((4, 50)), STATISTICS)
    assert np.array_equal(rows[0], rows[1])


def test_the_std_of_equal_vectors_is_zero_and_sound_far_from_the_origin() -> None:
    bags = Bags.from_amounts([{"K": 1}, {"K": 1, "O": 1}])
    far = np.array([[1e8], [1e8 + 1]])
    assert pool(bags, far, ["std"]).tolist() == [[0.0], [0.5]]


def test_ties_of_the_mode_are_averaged() -> None:
    bags = Bags.from_amounts([{"K": 1, "O": 3, "S": 3}])
    assert pool(bags, np.array([[1.0], [2.0], [4.0]]), ["mode"]).tolist() == [[3.0]]


def test_the_product_of_two_kernel_means_is_the_mean_kernel_of_their_tokens() -> None:
    bags = Bags.from_amounts([{"K": 1, "O": 3}, {"S": 1, "K": 1}])
    vectors = np.zeros((3, 2000))
    vectors[:, :2] = np.random.default_rng(6).standard_normal((3, 2))
    squares = ((vectors[:, None] - vectors) ** 2).sum(axis=-1)
    kernel = np.exp(-squares / (2 * 1.5**2))  # tokens are K, O, S
    fractions = np.array([[0.25, 0.75, 0], [0.5, 0, 0.5]])
    rows = pool(bags, vectors, ["kernel_mean"], bandwidth=1.5)
    # The product of two rows of 2000 random features has a standard error of about 1/sqrt(2000) = 0.02.
    np.testing.assert_allclose(rows @ rows.T, fractions @ kernel @ fractions.T, atol=0.07)


def test_the_kernel_mean_tells_opposites_from_what_lies_between() -> None:
    bags = Bags.from_amounts([{"K": 1, "O": 1}, {"S": 1}])
    vectors = np.array([[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]])  # K, O, S
    assert np.array_equal(*pool(bags, vectors, ["mean"]))
    assert np.abs(np.subtract(*pool(bags, vectors, ["kernel_mean"]))).max() > 0.1


def test_the_bandwidth_is_the_unit_of_the_vectors() -> None:
    vectors = np.random.default_rng(7).standard_normal((5, 8))
    differences = vectors[:, None] - vectors
    distance = root_mean_square_distance(vectors)
    assert distance == pytest.approx(np.sqrt((differences**2).sum(axis=-1).mean()))
    assert root_mean_square_distance(np.ones((3, 2))) == 1
    bags = Bags.from_amounts(random_bags(9, seed=8))
    vectors = np.random.default_rng(9).standard_normal((len(bags.tokens), 8))
    rows = pool(bags, vectors, ["kernel_mean"])
    np.testing.assert_allclose(pool(bags, 4 * vectors, ["kernel_mean"], bandwidth=4), rows, atol=1e-12)  # rounding


def test_no_bags_give_no_rows() -> None:
    assert pool(Bags.from_amounts([]), np.empty((0, 3)), ["mean", "std"]).shape == (0, 6)
