"""SIGTERM and SIGINT: the first is a request, the second an exit, and nothing is left installed."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading

import pytest

from softrl.training import signals

WATCHED = (signal.SIGTERM, signal.SIGINT)

# The main thread waits in C for a mutex that it holds itself, where no signal wakes it: as in a long compilation,
# Python runs no handler there, but other threads run.
_STUCK = """
import ctypes
from softrl.training import signals
with signals.graceful():
    lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(256)
    lock(mutex)
    print("ready", flush=True)
    lock(mutex)
"""


@pytest.mark.parametrize("number", WATCHED)
def test_a_signal_only_sets_the_flag(number):
    with signals.graceful() as request:
        assert request.requested is None
        os.kill(os.getpid(), number)
        assert request.requested is number


def test_handlers_and_wakeup_descriptor_are_restored_also_after_an_error():
    before = [signal.getsignal(number) for number in WATCHED]
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with pytest.raises(RuntimeError), signals.graceful():
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError
    assert [signal.getsignal(number) for number in WATCHED] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]
    if descriptors is not None:
        assert len(os.listdir("/proc/self/fd")) == descriptors


def test_contexts_nest_and_an_ended_one_no_longer_listens():
    with signals.graceful() as outer:
        with signals.graceful() as inner:
            os.kill(os.getpid(), signal.SIGTERM)
        assert (outer.requested, inner.requested) == (None, signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert (outer.requested, inner.requested) == (signal.SIGINT, signal.SIGTERM)


def test_outside_the_main_thread_it_is_inert():
    before, seen = [signal.getsignal(number) for number in WATCHED], []

    def elsewhere():
        with signals.graceful() as request:
            seen.append((request.requested, [signal.getsignal(number) for number in WATCHED]))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


def test_a_signal_sent_from_a_worker_thread_reaches_the_flag():
    with signals.graceful() as request:
        thread = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM))
        thread.start()
        thread.join()
        assert request.requested is signal.SIGTERM


def test_exit_codes_are_those_that_shells_expect():
    assert (signals.exit_code(signal.SIGTERM), signals.exit_code(signal.SIGINT)) == (143, 130)


@pytest.mark.skipif(sys.platform != "linux", reason="a mutex of zeros is a valid one on Linux only")
def test_a_second_signal_exits_at_once_even_while_the_main_thread_is_inside_c_and_the_terminal_has_its_cursor_again():
    controller, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", _STUCK], stdout=terminal, env=environment) as process:
        assert os.read(controller, 100).strip() == b"ready"
        # Two different ones, because two equal ones that are pending together count as one.
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(timeout=60) in (130, 143)
        finally:
            process.kill()
    assert b"\x1b[?25h" in os.read(controller, 100)
    os.close(controller)
    os.close(terminal)


# A simulator's worker: forked meanwhile, it holds open whatever its parent had open, and outlives the context.
_FORKED = """
import os, signal, sys, time
from softrl.training import signals
reading, writing = os.pipe()
with signals.graceful() as request:
    child = os.fork()
    if not child:
        os.write(writing, b"!")
        time.sleep(60)
        os._exit(0)
    os.read(reading, 1)
    print("ready", flush=True)
    while request.requested is None and sys.argv[1] == "interrupted":
        time.sleep(0.01)
print("left", request.requested, flush=True)
os.kill(child, signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["to its end", "interrupted"])
def test_processes_that_were_forked_meanwhile_neither_hold_it_up_nor_double_a_signal(how):
    command = [sys.executable, "-c", _FORKED, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            if how == "interrupted":
                os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C: to all of them
            assert process.wait(timeout=30) == 0
            assert process.stdout.read() == f"left {'2' if how == 'interrupted' else None}\n"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
