"""Published figures of the Matbench leaderboard, which stand beside results of official tasks."""

__all__ = ["PUBLISHED", "PUBLISHED_SOURCE"]

PUBLISHED_SOURCE = (
    "the Matbench v0.1 leaderboard (materialsproject/matbench, as of 2024-01-20): mean absolute error, or area under "
    "the ROC curve, mean over the five official folds"
)

# A selection, with the best of each task. CrabNet, Darwin and those marked read the composition alone.
PUBLISHED: dict[str, dict[str, float]] = {
    "dielectric": {
        "MODNet": 0.2711, "coGN": 0.3088, "AMMExpress": 0.3150, "Finder (composition)": 0.3204, "CrabNet": 0.3234,
        "ALIGNN": 0.3449, "random forest": 0.4196, "dummy": 0.8088,
    },
    "expt_gap": {
        "Darwin": 0.2865, "Ax/SAASBO CrabNet": 0.3310, "MODNet": 0.3327, "CrabNet": 0.3463, "AMMExpress": 0.4161,
        "random forest": 0.4461, "dummy": 1.1435,
    },
    "expt_is_metal": {
        "Darwin": 0.9598, "AMMExpress": 0.9209, "random forest": 0.9167, "MODNet": 0.9161, "dummy": 0.492,
    },
    "glass": {"MODNet": 0.9603, "AMMExpress": 0.8607, "random forest": 0.8587, "dummy": 0.5005},
    "jdft2d": {
        "MODNet": 33.19, "coNGN": 36.17, "coGN": 37.17, "AMMExpress": 39.85, "CrabNet": 45.61, "random forest": 50.04,
        "dummy": 67.29,
    },
    "log_gvrh": {
        "coNGN": 0.0670, "coGN": 0.0689, "ALIGNN": 0.0715, "MODNet": 0.0731, "CrabNet": 0.1014,
        "random forest": 0.1040, "dummy": 0.2931,
    },
    "log_kvrh": {
        "coNGN": 0.0491, "coGN": 0.0535, "MODNet": 0.0548, "ALIGNN": 0.0568, "CrabNet": 0.0758,
        "random forest": 0.0820, "dummy": 0.2897,
    },
    "mp_e_form": {
        "coGN": 0.0170, "ALIGNN": 0.0215, "CGCNN": 0.0337, "MODNet": 0.0448, "Finder (composition)": 0.0839,
        "CrabNet": 0.0862, "random forest": 0.1165, "dummy": 1.0059,
    },
    "mp_gap": {
        "coGN": 0.1559, "ALIGNN": 0.1861, "MegNet": 0.1934, "MODNet": 0.2199, "Finder (composition)": 0.2308,
        "CrabNet": 0.2655, "random forest": 0.3452, "dummy": 1.3272,
    },
    "mp_is_metal": {"CGCNN": 0.9520, "ALIGNN": 0.9128, "coGN": 0.9124, "random forest": 0.8992, "dummy": 0.501},
    "perovskites": {
        "coGN": 0.0269, "ALIGNN": 0.0288, "CGCNN": 0.0452, "MODNet": 0.0908, "random forest": 0.2355,
        "CrabNet": 0.4065, "dummy": 0.5660,
    },
    "phonons": {
        "MegNet": 28.76, "coNGN": 28.89, "ALIGNN": 29.54, "coGN": 29.71, "MODNet": 34.28,
        "Finder (composition)": 46.58, "CrabNet": 55.11, "random forest": 67.61, "dummy": 323.98,
    },
    "steels": {
        "TPOT-Mat": 79.95, "AutoML-Mat": 82.30, "MODNet": 87.76, "random forest": 103.5, "CrabNet": 107.3,
        "dummy": 229.7,
    },
}  # fmt: skip
