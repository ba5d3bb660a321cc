"""How far it has got, at a terminal and in a log."""

import threading
from collections.abc import Callable

import pytest

from lockgate_cli.progress import Progress, Tally, Task


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def task(label: str, size_bytes: int) -> Task:
    return Task(label=label, size_bytes=size_bytes, tally=Tally())


def show(
    clock: Clock, tasks: list[Task], steps: list[Callable[[], None]], *, watched: bool
) -> None:
    """Let something happen every ten seconds."""
    with Progress(clock=clock, watched=watched).board(tasks) as draw:
        for step in steps:
            clock.now += 10
            step()
            draw()


def test_without_a_terminal_short_work_is_one_plain_line(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(clock=clock, watched=False).bar("uploading x", 2000) as advance:
        advance(1000)
        advance(1000)
    assert capsys.readouterr().err == "uploading x (2.0 kB)\n"


def test_without_a_terminal_long_work_is_a_line_for_each_tenth(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    one = task("x", 1000)
    show(clock, [one], [lambda: one.tally.send(50)] * 20, watched=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "x (1.0 kB)"
    assert lines[1] == "x: 10% 5 B/s, 3 min left"
    assert len(lines) == 11


def test_without_a_terminal_nothing_for_half_a_minute_is_a_line_too(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    show(clock, [task("x", 1000)], [lambda: None] * 7, watched=False)
    assert capsys.readouterr().err.count("x:   0% 0 B/s".replace("  0%", "0%")) == 2


def test_a_log_gets_no_control_characters(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    one = task("x\x1b[2J", 1000)
    show(clock, [one], [lambda: one.tally.send(500)] * 2, watched=False)
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\r" not in said


def test_at_a_terminal_each_task_has_a_bar_with_share_speed_and_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [task("first", 40_000), task("second", 10_000)]
    show(clock, tasks, [lambda: tasks[0].tally.send(10_000)], watched=True)
    drawn = capsys.readouterr().err
    *_, first, second = drawn.strip("\n").split("\n")
    assert first.startswith("\rfirst  ██████░")
    assert first.endswith(" 25% 1.0 kB/s, 30 s left")
    assert second.endswith(" 0% 0 B/s")


def test_what_need_not_be_sent_counts_for_the_share_and_not_for_the_speed(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    one = task("x", 10_000)
    show(clock, [one], [lambda: one.tally.skip(5000), lambda: one.tally.send(2000)], watched=True)
    assert capsys.readouterr().err.endswith(" 70% 100 B/s, 30 s left\n")


def test_a_task_that_begins_anew_says_so_by_its_share(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    one = task("x", 10_000)
    show(clock, [one], [lambda: one.tally.send(9000), one.tally.restart], watched=True)
    assert "  0% 0 B/s" in capsys.readouterr().err


def test_the_server_s_check_is_named(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    one = task("x", 10)

    def sent() -> None:
        one.tally.send(10)
        one.tally.is_checking = True

    show(clock, [one], [sent], watched=True)
    assert "100% sent, the server is checking it" in capsys.readouterr().err


def test_quiet_is_quiet(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    one = task("x", 10)
    with Progress(clock=clock, watched=True, quiet=True).board([one]) as draw:
        clock.now += 100
        draw()
    assert capsys.readouterr().err == ""


def test_no_byte_is_lost_between_threads() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(5000):
            tally.send(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.done_bytes == 20_000
