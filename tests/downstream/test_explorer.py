"""The page of the explorer tells what the table holds, needs no network, and works in a browser."""

import html
import importlib.util
import json
import re
import shutil
from collections import Counter, defaultdict
from importlib.resources import files

import numpy as np
import pytest

from matembed import build_corpus, build_motif_tables, load, read_prototypes
from matembed.cards import Card
from matembed.downstream.explorer import explore
from matembed.embeddings import EmbeddingTable

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
EVIL = "</script><img/src=x/onerror=document.title='broken'>"
EVIL_TITLE = "<b>&\"'$title$data</title><script>document.title='broken'</script>"


def data_of(explorer):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', explorer.page)[1])


def table_of(tokens, *, dim=8, seed=0, name="demo"):
    vectors = np.random.default_rng(seed).normal(size=(len(tokens), dim))
    return EmbeddingTable(tuple(tokens), vectors, Card(name))


@pytest.fixture(scope="module")
def elements():
    return load("elements")


@pytest.fixture(scope="module")
def motifs():
    return load("motifs")


@pytest.fixture(scope="module")
def some_motifs(motifs):
    return motifs.subset(motifs.tokens[:300])


@pytest.mark.parametrize("name", ["elements", "some_motifs"])
def test_neighbours_are_those_of_the_table(name, request):
    table = request.getfixturevalue(name)
    data = data_of(explore(table, method="pca", n_neighbours=7))
    neighbours = np.reshape(data["neighbours"], (len(table), 7))
    similarities = np.reshape(data["similarities"], (len(table), 7)) / 100
    for row, token in enumerate(table.tokens):
        expected = table.nearest(token, 7)
        found = [table.similarity(token, table.tokens[idx]) for idx in neighbours[row]]
        assert found == pytest.approx([near.similarity for near in expected], abs=1e-9)  # some tokens are tied
        assert len({row, *neighbours[row]}) == 8
        # two decimals are written
        assert similarities[row] == pytest.approx([near.similarity for near in expected], abs=0.0051)


def test_ties_of_neighbours_are_in_row_order():
    vectors = np.repeat(np.eye(3), 4, axis=0)
    table = EmbeddingTable(tuple(f"word{number}" for number in range(12)), vectors, Card("ties"))
    data = data_of(explore(table, method="pca", n_neighbours=5))
    for row, found in enumerate(np.reshape(data["neighbours"], (12, 5))):
        assert [table.tokens[idx] for idx in found] == [near.token for near in table.nearest(f"word{row}", 5)]


def test_a_table_of_elements_holds_the_similarity_of_every_pair(elements):
    pairs = np.reshape(data_of(explore(elements, method="pca"))["pairs"], (103, 103)) / 100
    assert pairs == pytest.approx(elements.similarity_matrix(), abs=0.0051)
    assert data_of(explore(load("species"), method="pca", limit=50))["pairs"] == []


def test_points_keep_the_shape_of_the_map(elements):
    from sklearn.decomposition import PCA

    data = data_of(explore(elements, method="pca"))
    points = PCA(2, svd_solver="full").fit_transform(elements.vectors.astype(float))
    shown = np.column_stack([data["x"], -np.array(data["y"])]).astype(float)
    assert shown.min(axis=0)[0] == 0
    scale = np.ptp(shown, axis=0).max() / np.ptp(points, axis=0).max()
    moved = (points - points.min(axis=0)) * scale
    assert shown - shown.min(axis=0) == pytest.approx(moved, abs=1)  # whole numbers of 10,000


def test_same_settings_same_bytes(elements):
    counts = {token: (row % 7, ["NaCl"]) for row, token in enumerate(elements.tokens)}
    assert explore(elements, corpus=counts).page == explore(elements, corpus=counts).page


def test_pages_stay_small(elements, motifs):
    assert len(explore(elements).page.encode()) < 300_000
    rare = motifs.subset(motifs.tokens[:-2001:-1])  # their tokens are the longest
    explorer = explore(rare, method="pca", corpus={token: (1_234_567, ["Ba2Ca3Cu4O10"] * 3) for token in rare})
    assert len(explorer.page.encode()) / explorer.n_tokens < 500  # 10,000 stay below 6 MB


def test_the_limit_takes_the_first_tokens_or_those_in_most_materials(motifs):
    assert data_of(explore(motifs, method="pca", limit=20))["tokens"] == list(motifs.tokens[:20])
    counts = {token: (row, []) for row, token in enumerate(motifs.tokens)}
    data = data_of(explore(motifs, method="pca", limit=20, corpus=counts))
    assert data["tokens"] == list(motifs.tokens[-20:])
    assert data["counts"] == [counts[token][0] for token in data["tokens"]]
    assert data["note"].startswith("the 20 of 38,118 tokens in the most materials, and neighbours among them, by")


def test_a_kind_is_picked_out():
    table = table_of(["Na", "Cl", "Na+", "Cl-", "Ti4+", "O2-", "K+", "O:6"])
    assert data_of(explore(table, kind="species"))["tokens"] == ["Na+", "Cl-", "Ti4+", "O2-", "K+"]
    with pytest.raises(ValueError, match="needs 5 tokens or more"):
        explore(table, kind="element")


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("Fe", "iron"),
        ("Fe3+", "iron 3+"),
        ("O2-", "oxygen 2-"),
        ("TiO6:O:6", "titanium with 6 oxygen, octahedron"),
        ("Ti4+F2O4:O:6", "titanium 4+ with 2 fluorine and 4 oxygen, octahedron"),
        ("CuO4:S:4", "copper with 4 oxygen, square plane"),
        ("T:4", "tetrahedron, coordination number 4"),
        ("UNKNOWN:14", "14 neighbours, coordination number 14"),
        ("-edge-", "two polyhedra that share an edge"),
        ("(2)O3", "3 oxygen around 2 atoms of an element"),
        ("(1)Cl", "1 chlorine around 1 atom of an element"),
        ("perovskite", ""),
    ],
)
def test_tokens_in_words(token, words):
    data = data_of(explore(table_of([token, "word1", "word2"]), method="pca"))
    assert data["words"][0] == words


def test_a_corpus_counts_materials(tmp_path):
    rows = read_prototypes(limit=40)
    corpus = build_corpus(rows, tmp_path / "corpus", progress=False)
    tables = build_motif_tables(rows, tmp_path / "tables", progress=False)
    materials = corpus.materials()
    expected, formulas = Counter(), defaultdict(set)
    for (_, graph), formula, chemsys in zip(
        corpus.motif_graphs(), materials["formula"], materials["chemsys"], strict=True
    ):
        motifs = {token for motif in graph.motifs for token in (motif.token, motif.species_token, motif.geometry)}
        for token in motifs | set(chemsys.split("-")):
            expected[token] += 1
            formulas[token].add(formula)
    species = Counter(word for sites in tables.materials()["sites"] for word in set(sites.split()) if word[-1] in "+-")
    absent = ["Og", "OgO6:O:6"]
    table = table_of([*expected, *species, *absent])
    for source in (corpus, tables):
        data = data_of(explore(table, method="pca", corpus=source))
        counts = dict(zip(data["tokens"], data["counts"], strict=True))
        assert {token: counts[token] for token in expected} == expected
        assert counts["Og"] == counts["OgO6:O:6"] == 0
        assert {counts[token] for token in species} == ({None} if source is corpus else set(species.values()))
        for token, examples in zip(data["tokens"], data["examples"], strict=True):
            if token in expected:
                assert set(examples) <= formulas[token]
                assert len(examples) == len(set(examples)) <= 3
    oxides = data["examples"][data["tokens"].index("O")]
    assert set(materials.set_index("formula")["n_elements"][list(oxides)]) == {2}  # the simplest


def test_motifs_are_not_counted_in_formulas(tmp_path, some_motifs, elements):
    corpus = build_corpus(["NaCl", "TiO2", "Na2O"], tmp_path / "corpus", progress=False)
    with pytest.raises(ValueError, match="holds no motif graphs"):
        explore(some_motifs, method="pca", corpus=corpus)
    data = data_of(explore(elements, method="pca", corpus=corpus))
    counts = dict(zip(data["tokens"], data["counts"], strict=True))
    assert [counts[symbol] for symbol in ("Na", "O", "Ti", "Cl", "K")] == [2, 2, 1, 1, 0]
    assert data["examples"][data["tokens"].index("O")] == ["TiO2", "Na2O"]


def test_every_string_is_escaped():
    table = table_of([EVIL, "<!--<script>", "O:6", "Ti", "Na"], name="&amp;<i>")
    explorer = explore(table, title=EVIL_TITLE, corpus={EVIL: (3, [EVIL, "\u2028'"])})
    assert explorer.page.count("</script>") == 2
    assert explorer.page.count("<script") == 2
    assert "<!--" not in explorer.page
    assert f"<title>{html.escape(EVIL_TITLE)}</title>" in explorer.page
    data = data_of(explorer)
    assert data["title"] == EVIL_TITLE
    assert data["tokens"][0] == EVIL
    assert data["examples"][0] == [EVIL, "\u2028'"]


def test_half_a_character_is_written(tmp_path):
    half = "\ud800"  # as JSON can hold it; UTF-8 cannot
    explorer = explore(table_of(["Ti", "Zr", "Hf"], name=half), method="pca", corpus={"Ti": (1, [half])})
    assert explorer.title == "?"
    assert explorer.write(tmp_path / "half.html").stat().st_size == len(explorer.page.encode())


def test_the_page_holds_all_it_needs_and_forbids_the_rest(elements):
    page = explore(elements).page
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in page
    template = files("matembed.downstream").joinpath("explorer.html").read_text(encoding="utf-8")
    assert "//" not in re.sub(r"^ *//.*|(?<=[;,]) // .*", "", template, flags=re.MULTILINE)  # no address
    assert re.findall(r"\b(?:src|href|action)=[^ >]*", template) == ['href="data:,"']
    assert re.findall(r"<[^>]*\son\w+\s*=", template) == []  # no inline handler
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", template) == []


def test_notebooks_show_the_page_in_a_frame(elements):
    explorer = explore(elements, title='a "b" <c>')
    frame = re.fullmatch(
        r'<iframe srcdoc="([^"]*)" title="([^"]*)" sandbox="allow-scripts" [^>]*></iframe>', explorer._repr_html_()
    )
    assert html.unescape(frame[1]) == explorer.page
    assert html.unescape(frame[2]) == 'a "b" <c>'


def test_write(tmp_path, elements):
    explorer = explore(elements, method="pca")
    path = explorer.write(tmp_path / "deep" / "map.html")
    assert path.read_bytes() == explorer.page.encode()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        explorer.write(path)
    other = explore(elements, method="pca", title="other")
    assert other.write(path, overwrite=True).read_bytes() == other.page.encode()
    assert [file.name for file in path.parent.iterdir()] == ["map.html"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "mds"}, 'method must be "pca", "tsne" or "umap", got \'mds\''),
        ({"limit": 0}, "limit must be a whole number, 1 or more, got 0"),
        ({"limit": 2.5}, "limit must be a whole number"),
        ({"limit": 4}, "needs 5 tokens or more"),
        ({"n_neighbours": True}, "n_neighbours must be a whole number"),
        ({"kind": "molecule"}, "kind must be one of element, species"),
        ({"corpus": {"Ti": 3}}, r"such as \(12, \['TiO2'\]\), got 3 for 'Ti'"),
        ({"corpus": {"Ti": (-1, [])}}, "must map tokens"),
        ({"corpus": {"Ti": (1, "TiO2")}}, "must map tokens"),
    ],
)
def test_errors(elements, settings, message):
    with pytest.raises(ValueError, match=message):
        explore(elements, **settings)


def test_type_errors(elements):
    with pytest.raises(TypeError, match="table must be an EmbeddingTable, got str"):
        explore("elements")
    with pytest.raises(TypeError, match="corpus must be a Corpus, MotifTables or a mapping"):
        explore(elements, corpus=["TiO2"])


# In a browser --------------------------------------------------------------------------------------------------------

WANTED = {"selenium": importlib.util.find_spec("selenium")} | {
    program: shutil.which(program) for program in ("chromium", "chromedriver")
}
in_browser = pytest.mark.skipif(
    not all(WANTED.values()), reason=f"not installed: {', '.join(name for name in WANTED if not WANTED[name])}"
)


class Page:
    """A page in headless Chromium, used as a person would."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path, *, width=1280, height=800, scheme="light"):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        self.driver.get(path.as_uri())
        return self

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def press(self, selector):
        self.find(selector).click()

    def search(self, text):
        self.find("#search").clear()
        self.find("#search").send_keys(text)
        return [item.text for item in self.all("#results li")]

    def jump_to(self, text):
        self.search(text)
        self.find("#search").send_keys("\ue007")  # Enter

    def hover(self, dx=0, dy=0):
        """Point at the middle of the map, or beside it, and read the card that opens there."""
        from selenium.webdriver import ActionChains

        chain = ActionChains(self.driver, duration=0)
        chain.move_to_element(self.find("h1")).move_to_element_with_offset(self.find("#map"), dx, dy).perform()
        tip = self.find("#tip")
        return self.card("#tip") if tip.is_displayed() else None

    def card(self, selector):
        names = [name.text for name in self.all(f"{selector} .name")]
        values = [value.text.replace("−", "-") for value in self.all(f"{selector} .value")]
        lines = [line.text for line in self.all(f"{selector} > p")]
        return self.find(f"{selector} h2").text, lines, list(zip(names, values, strict=True))

    def cell(self, symbol):
        return self.driver.find_element("xpath", f"//*[@id='table']/button[text()='{symbol}']")

    def background(self, symbol):
        return self.cell(symbol).value_of_css_property("background-color")

    def pixels(self):
        return self.driver.execute_script("return document.getElementById('map').toDataURL()")

    def settle(self):
        """Wait until what was asked for is drawn."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


@pytest.fixture(scope="module")
def driver():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver):
    """Give a page, and see to it that it says nothing on the console and asks nothing of the network."""
    yield Page(driver)
    assert driver.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "about"}
    assert sum(url.startswith("file:") for url in asked) <= 2  # the page itself, each time it was opened


@pytest.fixture(scope="module")
def element_file(tmp_path_factory, elements):
    counts = {"Fe": (1234, ["FeO", "Fe2O3"])}
    return explore(elements, corpus=counts).write(tmp_path_factory.mktemp("explorer") / "elements.html")


@pytest.fixture(scope="module")
def motif_file(tmp_path_factory, some_motifs):
    return explore(some_motifs).write(tmp_path_factory.mktemp("explorer") / "motifs.html")


def nearest(table, token):
    return [(found.token, f"{found.similarity:.2f}") for found in table.nearest(token, 10)]


@in_browser
def test_search_centres_and_hover_tells_the_neighbours(page, element_file, elements):
    page.open(element_file)
    assert page.find("h1").text == "elements"
    for query, token, words in (("iron", "Fe", "iron"), ("si", "Si", "silicon"), ("gold", "Au", "gold")):
        page.jump_to(query)
        name, lines, neighbours = page.hover()
        assert (name, lines[0], neighbours) == (token, words, nearest(elements, token))
        assert page.card("#detail") == (name, lines, neighbours)
    page.jump_to("Fe")
    assert page.hover()[1] == ["iron", "in 1,234 materials: FeO, Fe2O3"]
    page.jump_to("Fr")
    assert page.card("#detail")[1] == ["francium", "vector not learned, made from others"]


@in_browser
def test_pressing_an_element_recolours_the_periodic_table(page, element_file, elements):
    page.open(element_file)
    before = {symbol: page.background(symbol) for symbol in ("Fe", "Co", "Cs")}
    assert not page.cell("Og").is_enabled()
    page.cell("Fe").click()
    after = {symbol: page.background(symbol) for symbol in before}
    assert all(before[symbol] != after[symbol] for symbol in before)
    red, _, blue = map(float, re.findall(r"[\d.]+", after["Co"])[:3])
    assert red > blue  # alike
    red, _, blue = map(float, re.findall(r"[\d.]+", after["Cs"])[:3])
    assert blue > red  # unlike
    for symbol in ("Co", "Cs", "O"):
        label = page.cell(symbol).get_attribute("aria-label").replace("−", "-")
        assert label.endswith(f"similarity {elements.similarity('Fe', symbol):.2f}")
    assert page.find("#meaning").text == "similarity to iron"
    assert page.card("#detail")[0] == "Fe"
    page.cell("Fe").click()
    assert {symbol: page.background(symbol) for symbol in before} == before


@in_browser
def test_keys_are_enough(page, element_file):
    page.open(element_file)
    page.find("body").send_keys("/")
    assert page.driver.switch_to.active_element.get_attribute("id") == "search"
    page.driver.switch_to.active_element.send_keys("c", "\ue015")  # down: from carbon to what holds the letter next
    second = page.find("#results [aria-selected=true]")
    assert page.find("#search").get_attribute("aria-activedescendant") == second.get_attribute("id")
    page.find("#search").clear()
    page.jump_to("Ti")
    cell = page.cell("Sc")
    page.driver.execute_script("arguments[0].focus()", cell)
    cell.send_keys("\ue014")  # right
    assert page.driver.switch_to.active_element.text == "Ti"
    page.driver.switch_to.active_element.send_keys("\ue015")
    assert page.driver.switch_to.active_element.text == "Zr"
    page.driver.switch_to.active_element.send_keys("\ue007")
    assert page.card("#detail")[0] == "Zr"
    assert "Zr; zirconium; nearest: " in page.find("#status").get_attribute("textContent")
    before = page.pixels()
    page.find("#map").send_keys("+")
    page.settle()
    assert page.pixels() != before
    page.find("#map").send_keys("\ue00c")  # escape
    assert "Press a point" in page.find("#detail").text


@in_browser
def test_the_map_shows_where_enter_takes_a_point(page, element_file, elements):
    from selenium.webdriver import ActionChains

    def press(*keys):
        ActionChains(page.driver, duration=0).send_keys(*keys).perform()
        page.settle()

    page.open(element_file)
    page.settle()
    before = page.pixels()
    press("\ue004")  # tab
    assert page.driver.switch_to.active_element.get_attribute("id") == "map"
    assert page.pixels() != before
    press("\ue007")  # enter
    name, _, neighbours = page.card("#detail")
    assert neighbours == nearest(elements, name)
    press("\ue00c", "\ue004")  # escape, and on
    assert page.pixels() == before


@in_browser
def test_dragging_and_zooming_move_the_map(page, element_file):
    from selenium.webdriver import ActionChains

    page.open(element_file)
    page.jump_to("Bi")
    chain = ActionChains(page.driver, duration=0).move_to_element(page.find("#map"))
    chain.click_and_hold().move_by_offset(80, -60).release().perform()
    assert page.hover(80, -60)[0] == "Bi"
    assert page.hover(0, 0) is None or page.hover(0, 0)[0] != "Bi"
    page.press('[aria-label="Zoom in"]')
    assert page.hover(120, -90)[0] == "Bi"  # zoomed by 1.5 about the middle
    page.press('[aria-label="Show all"]')
    assert page.hover(120, -90) is None or page.hover(120, -90)[0] != "Bi"


@in_browser
def test_the_legend_filters(page, element_file):
    page.open(element_file)
    page.jump_to("Na")
    assert page.hover()[0] == "Na"
    page.settle()
    before = page.pixels()
    block_d = next(button for button in page.all("#legend button") if button.text.split()[1] == "d")
    block_d.click()
    assert block_d.get_attribute("aria-pressed") == "true"
    assert page.hover() is None  # an s element
    page.settle()
    assert page.pixels() != before
    block_d.click()
    assert page.hover()[0] == "Na"


@in_browser
def test_motifs_are_found_by_element_and_geometry(page, motif_file, some_motifs):
    page.open(motif_file)
    found = page.search("ti octahedron")
    tokens = [token for token in some_motifs.tokens if token.startswith("Ti") and token.endswith("O:6")]
    assert found[0].startswith("TiO₆ O:6")
    assert len(found) == len(tokens)
    page.jump_to("ti octahedron")
    assert page.hover()[1] == ["titanium with 6 oxygen, octahedron", "TiO6:O:6"]
    page.press("#detail .near button")  # the nearest
    assert page.card("#detail")[1][-1] == some_motifs.nearest("TiO6:O:6", 1)[0].token
    page.cell("Fe").click()
    n_iron = sum(token.startswith("Fe") for token in some_motifs.tokens)
    assert page.find("#meaning").text == f"only iron, {n_iron} tokens"
    assert page.hover() is None or "iron" in page.hover()[1][0]
    page.search("nothing like it")
    assert page.find("#found").text == "0 tokens found"


@in_browser
def test_dark_scheme_and_phone(page, element_file):
    page.open(element_file, scheme="dark")
    dark = page.find("body").value_of_css_property("background-color"), page.pixels()
    page.open(element_file, width=400, height=800)
    light = page.find("body").value_of_css_property("background-color"), page.pixels()
    assert [sum(map(int, re.findall(r"\d+", one[0])[:3])) > 380 for one in (dark, light)] == [False, True]
    assert dark[1] != light[1]
    page.jump_to("Fe")
    assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 400
    assert page.hover()[0] == "Fe"


@in_browser
def test_strings_stay_text(page, tmp_path):
    table = table_of([EVIL, "<b>bold</b>", "Ti", "Na", "K"])
    explorer = explore(table, title=EVIL_TITLE, corpus={EVIL: (1, ["<i>x</i>"])})
    page.open(explorer.write(tmp_path / "evil.html"))
    assert page.driver.title == page.find("h1").text == EVIL_TITLE
    page.jump_to("onerror")
    name, lines, _ = page.hover()
    assert (name, lines) == (EVIL, ["in 1 material: <i>x</i>"])
    assert page.all("#stage img, aside img, aside b, aside td, h1 b, #tip > i") == []


@in_browser
def test_long_strings_leave_room_for_the_map(page, tmp_path):
    table = table_of(["x" * 3000, *"abcdefgh"], name="W" * 3000)
    explorer = explore(table, corpus={"x" * 3000: (1, ["y" * 3000])})
    page.open(explorer.write(tmp_path / "long.html"), width=400, height=800)
    page.jump_to("xxx")
    assert page.find("#map").size["height"] > 400
    assert page.find("header").size["height"] < 200
    assert page.find("#detail").size["height"] < 600
    assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 400


@in_browser
def test_the_frame_of_a_notebook_works(page, tmp_path, elements):
    notebook = tmp_path / "notebook.html"
    frame = explore(elements)._repr_html_()
    notebook.write_text(f'<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,">{frame}')
    page.open(notebook)
    page.driver.switch_to.frame(page.find("iframe"))
    page.jump_to("Fe")
    assert page.hover()[0] == "Fe"
    assert page.card("#detail")[2] == nearest(elements, "Fe")
    page.driver.switch_to.default_content()
