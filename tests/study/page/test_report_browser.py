"""The report of a whole study in a headless Chromium: no error, no request, sorting, filtering, seeds, both widths."""

import json
import shutil
import time

import pytest
from oracles.report_examples import full_set

from jaxact import records
from jaxact.commands import report
from jaxact.study.page import static

pytestmark = pytest.mark.slow
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
WIDTHS = {"desktop": (1280, 800), "phone": (390, 844)}
MOST_BYTES, MOST_MS = 5_000_000, 2000


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """The report of 64 combinations, 9 seeds and 10 epochs, without its PNG and SVG."""
    base = tmp_path_factory.mktemp("browser")
    for one in full_set():
        records.write(base / "records", one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static, "draw", lambda figure: {"png": b""})
        assert report.main([str(base / "records"), "--out", str(base / "out")]) == 0
    return base / "out" / "report.html"


@pytest.fixture(scope="session")
def chromium():
    """A driver; skipped where there is no browser."""
    if not CHROMIUM or not DRIVER:
        pytest.skip("no Chromium with its chromedriver here (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def opened(driver, page, width="desktop", scheme="light"):
    """The page, all figures drawn."""
    driver.get("about:blank")
    for log in ("browser", "performance"):
        driver.get_log(log)
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", size | {"deviceScaleFactor": 1, "mobile": width == "phone"}
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(page.as_uri())
    wait(driver, "return document.documentElement.dataset.drawn === 'all'")
    return driver


def wait(driver, condition, seconds=60):
    end = time.monotonic() + seconds
    while not driver.execute_script(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.05)


def names(driver):
    return driver.execute_script(
        "return [...document.querySelectorAll('#configurations-table tbody tr')].filter((r) => !r.hidden)"
        ".map((r) => r.cells[0].textContent)"
    )


def test_it_is_small(page):
    assert page.stat().st_size < MOST_BYTES


def test_it_is_ready_soon(chromium, page):
    taken = [
        int(opened(chromium, page).execute_script("return document.documentElement.dataset.ready")) for _ in range(3)
    ]
    assert min(taken) < MOST_MS


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_error_no_request_no_overflow(chromium, page, width, scheme):
    driver = opened(chromium, page, width, scheme)
    assert driver.get_log("browser") == []
    asked = [
        message["params"]["request"]["url"]
        for entry in driver.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    assert asked and all(url.split(":")[0] in ("file", "data", "blob") for url in asked)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= WIDTHS[width][0]
    empty = "return [...document.querySelectorAll('.plot')].filter((d) => !d.querySelector('.main-svg')).length"
    assert driver.execute_script(empty) == 0
    first = "return document.querySelector('h1').getBoundingClientRect().bottom"
    assert driver.execute_script(first) < WIDTHS[width][1] / 2


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_sorts(chromium, page, width):
    driver = opened(chromium, page, width)
    assert len(names(driver)) == 64 and names(driver)[0].endswith("sigmoid-relu")
    heads = driver.find_elements("css selector", "#configurations-table th button")
    by_name, by_mean = heads[0], heads[2]
    driver.execute_script("arguments[0].click()", by_name)
    assert names(driver) == sorted(names(driver))
    driver.execute_script("arguments[0].click()", by_name)
    assert names(driver) == sorted(names(driver), reverse=True)
    driver.execute_script("arguments[0].click()", by_mean)
    means = [driver.execute_script("return data.configs[arguments[0]].accuracy", name) for name in names(driver)]
    means = [round(sum(values) / len(values), 2) for values in means]
    assert means == sorted(means)
    assert driver.find_elements("css selector", "#configurations-table th")[2].get_attribute("aria-sort") == "ascending"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_filters(chromium, page, width):
    driver = opened(chromium, page, width)
    field = driver.find_element("id", "filter")
    field.send_keys("*-sigmoid-relu")
    assert set(names(driver)) == {f"{name}-sigmoid-relu" for name in ("relu", "tanh", "sigmoid", "selu")}
    assert driver.find_element("id", "count").text == "4 of 64"
    field.clear()
    field.send_keys("selu [")  # not a pattern of any syntax, only text
    assert names(driver) == []
    field.clear()
    field.send_keys("selu tanh")
    assert len(names(driver)) == 64 - 2 * 27 + 8
    field.clear()
    field.send_keys("x\b")
    driver.execute_script("document.getElementById('only').click()")
    assert set(names(driver)) == {f"{name}-sigmoid-relu" for name in ("relu", "tanh", "sigmoid", "selu")}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_cell_opens_its_seeds_by_pointer_and_by_key(chromium, page, width):
    from selenium.webdriver.common.keys import Keys

    driver = opened(chromium, page, width)
    cell = driver.find_element("css selector", ".view:not([hidden]) .cell[data-config=relu-sigmoid-relu]")
    driver.execute_script("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", cell)
    cell.click()
    dialog = driver.find_element("id", "seeds")
    assert dialog.get_attribute("open") and "relu-sigmoid-relu" in dialog.text
    drawn = driver.execute_script("return document.getElementById('seeds-strip').data.flatMap((t) => t.x)")
    accuracy = driver.execute_script("return data.configs['relu-sigmoid-relu'].accuracy")
    assert sorted(drawn) == sorted(accuracy) and len(drawn) == 9
    assert len(driver.find_elements("css selector", "#seeds-table tbody tr")) == 9
    dialog.send_keys(Keys.ESCAPE)
    assert not dialog.get_attribute("open")
    cell.send_keys(Keys.ENTER)
    assert dialog.get_attribute("open")
    dialog.send_keys(Keys.ESCAPE)
    assert driver.get_log("browser") == []


def test_the_views_change_the_heat_map(chromium, page):
    driver = opened(chromium, page)
    shown = "return [...document.querySelectorAll('.view')].filter((v) => !v.hidden).map((v) => v.dataset.view)"
    assert driver.execute_script(shown) == ["mean"]
    driver.execute_script("document.querySelector('input[value=theory]').click()")
    assert driver.execute_script(shown) == ["theory"]


def test_a_link_gives_the_data_from_the_page_itself(chromium, page):
    driver = opened(chromium, page)
    link = driver.find_element("css selector", "#figure-curves [data-csv]")
    driver.execute_script(
        "arguments[0].addEventListener('click', (e) => e.preventDefault()); arguments[0].click()", link
    )
    assert link.get_attribute("href").startswith("blob:")
    read = "const done = arguments[1]; fetch(arguments[0]).then((r) => r.text()).then(done)"
    text = driver.execute_async_script(read, link.get_attribute("href"))
    assert text == (page.parent / "tables" / "figure-curves.csv").read_text(encoding="utf-8")


def test_it_prints_every_figure_in_light_colours(chromium, page):
    driver = opened(chromium, page, scheme="dark")
    driver.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    drawn = "return [...document.querySelectorAll('.plot')].map((d) => d.dataset.drawn)"
    assert set(driver.execute_script(drawn)) == {"print"}
    driver.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert set(driver.execute_script(drawn)) == {"dark"}
    printed = driver.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert len(printed) > 100_000
