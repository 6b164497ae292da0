"""Does a host answer? Asked once and briefly, because TFDS asks for minutes and has no time limit of its own."""

import threading
from urllib.parse import urlsplit

TIMEOUT = 5.0


def why_unreachable(url: str, timeout: float = TIMEOUT) -> str | None:
    """Ask for a file's beginning the way TFDS would, proxies included, and give up in time.

    The time limit of an HTTP library holds per address and not for the name look-up, so the question is asked in a
    thread that is left behind when time is up.

    Args:
        url: The file.
        timeout: Seconds allowed in all.

    Returns:
        None if the file is there, else a short reason.
    """
    answer: list[str | None] = []
    thread = threading.Thread(target=lambda: answer.append(_ask(url, timeout)), daemon=True)
    thread.start()
    thread.join(timeout)
    return answer[0] if answer else f"{urlsplit(url).hostname} did not answer within {timeout:g} s"


def _ask(url: str, timeout: float) -> str | None:
    """Return why the file cannot be had, or None."""
    import requests  # TFDS's own client: the same proxies, the same certificates

    host = urlsplit(url).hostname
    try:
        with requests.get(url, stream=True, timeout=timeout) as response:
            return None if response.ok else f"{host} answered {response.status_code}"
    except requests.exceptions.Timeout:
        return f"{host} did not answer within {timeout:g} s"
    except requests.exceptions.RequestException as error:
        return f"{host} cannot be reached ({type(error).__name__})"
