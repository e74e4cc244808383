"""A prior of one's own is asked in the right form, and a run does not go on under another."""

import jax
import jax.numpy as jnp
import pytest

from softrl.agents.prior import require_sound
from softrl.agents.registry import algorithm
from softrl.errors import ConfigError
from softrl.training.assemble import assemble
from softrl.training.identity import agree, write
from softrl.types import Continuous, Discrete, Spec
from tests import tiny

ROW = Spec(jax.ShapeDtypeStruct((2,), "float32"), Continuous(3))
ONE_OF_N = ROW._replace(action=Discrete(4))


def density(obs, action):
    return -jnp.sum(action**2, axis=-1)


def another(obs, action):
    return -jnp.sum(action**4, axis=-1)


@pytest.mark.parametrize(
    ("spec", "log_prior", "words"),
    [
        (ROW, lambda obs, action: -jnp.sum(action**2), r"shape \(3,\) for actions of shape \(3, 3\), got \(\)"),
        (ROW, lambda obs, action: -(action**2), r"got \(3, 3\)"),
        (ROW, lambda obs, action: 0.0, r"shape \(3,\)"),
        (ROW, lambda obs, action: jnp.zeros(len(action), int), "floating-point .* got int32"),
        (ROW, -1.0, "must be a function"),
        (ONE_OF_N, density, r"shape \(3, 4\) for actions of shape \(3, 4\), got \(3,\)"),
    ],
)
def test_a_prior_of_another_form_is_refused_and_not_broadcast(spec, log_prior, words):
    with pytest.raises(ConfigError, match=words):
        require_sound(log_prior, spec)


@pytest.mark.parametrize("name", ["sac", "policy-gradient"])
def test_algorithms_that_know_priors_refuse_such_a_one_before_anything_is_compiled(name):
    entry = algorithm(name)
    entry.build(entry.config(), ROW, log_prior=density)
    with pytest.raises(ConfigError, match=r"log_prior\(obs, action\) must give"):
        entry.build(entry.config(), ROW, log_prior=lambda obs, action: -jnp.sum(action**2))


def test_a_run_with_a_prior_goes_on_with_that_prior_only(tmp_path):
    write(tmp_path, assemble(tiny.config(), log_prior=density))
    assert agree(tmp_path, assemble(tiny.config(), log_prior=density)) == []
    for other, words in ((None, "None now"), (another, r"another' now")):
        with pytest.raises(
            ConfigError, match=rf"another log_prior \('tests.agents.test_prior.density' there, .*{words}"
        ):
            agree(tmp_path, assemble(tiny.config(), log_prior=other))
