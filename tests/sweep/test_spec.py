"""What a sweep says: bad input is explained before anything is trained, good input means what it says."""

import pytest

from softrl import cli
from softrl.config import flat
from softrl.errors import ConfigError
from softrl.sweep.axes import NOT_SWEEPABLE, axis
from softrl.sweep.groups import expand
from softrl.sweep.plan import plan
from softrl.sweep.spec import load
from softrl.training.config import Config
from tests.sweep import tiny

BAD = [
    # (a spec as TOML, words that the one line must hold)
    ("seedz = 3", ["seedz", "did you mean 'seeds'"]),
    ("seeds = 0", ["seeds is empty"]),
    ("seeds = [1, 1]", ["seeds holds 1 twice"]),
    ("seeds = [-1]", ["seeds", "[0, 2³¹)"]),
    ("seeds = true", ["seeds", "True"]),
    ("[base]\nenv = 'probe/bounded-lqq'", ["bounded-lqq", "did you mean 'probe/bounded-lq'"]),
    ("[base]\npreset = 'tunned'", ["tunned", "did you mean 'tuned'"]),
    ("[base]\ngama = 0.9", ["gama", "did you mean 'gamma'"]),
    ("[base]\ngamma = 2.0", ["gamma", "[0, 1)", "2.0"]),
    ("[base]\nseeds = 3", ["seeds does not belong in [base]", "top of the file"]),
    ("base = 3", ["[base] must be a table"]),
    ("[axes]\ncritic_lrr = [1e-3]", ["unknown axis 'critic_lrr'", "did you mean 'critic_lr'"]),
    ("[axes]\nlayer_norm = [true, false]", ["unknown axis 'layer_norm'", "did you mean 'norm'"]),
    ("[axes]\ncritic_lr = []", ["axis critic_lr is empty"]),
    ("[axes]\ncritic_lr = 1e-3", ["axis critic_lr", "a list of values"]),
    ("[axes]\ncritic_lr = [1e-3, 0.001]", ["axis critic_lr holds 0.001 twice"]),
    ("[axes]\ncritic_lr = [1e-3, -1.0]", ["critic_lr must be in [0, inf)", "-1.0"]),
    ("[axes]\nwidth = [64, 1.5]", ["width must be a whole number", "1.5"]),
    ("[axes]\nwidth = { uniform = [1, 64], n = 3 }", ["width shapes the compiled program", "a list of values"]),
    ("[axes]\nseed = [1, 2]", ["seed cannot be an axis", "beside [axes]"]),
    ("[axes]\nsteps = [1000, 2000]", ["steps cannot be an axis", "curve"]),
    ("[axes]\nenv = ['probe/bounded-lq', 'probe/deth']", ["probe/deth", "did you mean 'probe/death'"]),
    ("[axes]\ngamma = { log = [0.9, 0.99] }", ["axis gamma: n must be", "None"]),
    ("[axes]\ngamma = { log = [0.99, 0.9], n = 3 }", ["low < high"]),
    ("[axes]\ngamma = { log = [0.0, 0.9], n = 3 }", ["log needs low > 0"]),
    ("[axes]\ngamma = { linear = [0.5, 1.5], n = 3 }", ["gamma must be in [0, 1)"]),
    ("[axes]\ngamma = { lin = [0.5, 0.6], n = 3 }", ["axis gamma must be a list"]),
    ("[axes]\ngamma = { linear = [0.5, 0.6], n = 3, seed = 1 }", ["unknown word 'seed'"]),
    (
        "[axes]\ngamma = { uniform = [0.5, 0.6], n = 3 }\ntau = { uniform = [0.5, 0.6], n = 4 }",
        ["n must be equal", "gamma 3, tau 4"],
    ),
    ("[base]\ngamma = 0.9\n[axes]\ngamma = [0.8, 0.9]", ["gamma stands in [base] and in [axes]"]),
    ("[base]\ntarget_sigma = 0.1\n[axes]\ntarget_entropy = [-1.0]", ["set the same thing"]),
    ("[base]\nenv = 'probe/death'\n[axes]\ntarget_entropy = [-1.0, 1.0]", ["target_entropy 1", "0.683636"]),
    ("[base]\nbatch_size = 64\n[axes]\nreplay_size = [32]", ["batch_size 64 is larger than replay_size 32"]),
    ("[search]\nmethod = 'halvin'\n[axes]\ngamma = [0.9]", ["halvin", "did you mean 'halving'"]),
    ("[search]\neta = 3", ["search must name its method"]),
    ("[search]\nmethod = 'halving'\netta = 3\n[axes]\ngamma = [0.9]", ["etta", "did you mean 'eta'"]),
    ("[search]\nmethod = 'pbt'", ["needs an axis to search"]),
    ("seeds = 2\n[search]\nmethod = 'pbt'\n[axes]\ngamma = [0.8, 0.9]", ["give one seed, got 2"]),
    ("[search]\nmethod = 'halving'\n[axes]\ngamma = [0.8, 0.9]", ["leaves none for rung 3"]),
    ("[search]\nmethod = 'optuna'\n[axes]\ngamma = { uniform = [0.8, 0.9], n = 3 }", ["unknown word 'n'"]),
    ("seeds = 2 3", ["is not TOML", "line 1"]),
]


@pytest.mark.parametrize("text, words", BAD, ids=[text.replace("\n", " ") for text, _ in BAD])
def test_a_bad_spec_is_one_clear_line_and_leaves_nothing_behind(text, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if "env" not in text:
        text = text.replace("[base]", "[base]\nenv = 'probe/bounded-lq'")
        text += "" if "base" in text else "\n[base]\nenv = 'probe/bounded-lq'\n"
    (tmp_path / "spec.toml").write_text(text)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["sweep", "spec.toml"])
    said = capsys.readouterr()
    assert exit_.value.code == 2
    assert said.err.count("\n") == 1, said.err
    for word in words:
        assert word in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["spec.toml"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["sweep", "nowhere.toml"], ["there is no sweep spec nowhere.toml"]),
        (["sweep", "spec.toml", "--launcher", "sluurm"], ["unknown launcher 'sluurm'", "did you mean 'slurm'"]),
        (["sweep", "spec.toml", "--per-batch", "0"], ["per_batch must be at least 1"]),
        (["sweep", "spec.toml", "--memory-gib", "0.00001"], ["one member takes", "lower replay_size"]),
        (["sweep", "spec.toml", "--memory-gib", "0.0004", "--per-batch", "64"], ["does not fit", "--per-batch"]),
        (["sweep", "spec.toml", "--out", "spec.toml"], ["is not a directory"]),
        (["sweep", "spec.toml", "--out", "spec.toml/below"], ["is not a directory"]),
        (["best", "nowhere"], ["nowhere is not a sweep"]),
    ],
)
def test_bad_arguments_are_explained_and_leave_nothing_behind(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.toml").write_text(tiny.toml(tiny.spec({"gamma": [0.8, 0.9]})))
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    said = capsys.readouterr().err
    assert exit_.value.code == 2
    for word in words:
        assert word in said
    assert [path.name for path in tmp_path.iterdir()] == ["spec.toml"]


def test_an_unsweepable_field_names_a_field_that_exists():
    assert set(NOT_SWEEPABLE) <= set(flat(Config()))


def test_a_sweep_is_the_product_of_lists_samples_and_seeds():
    words = tiny.spec(
        {
            "gamma": [0.8, 0.9],
            "critic_lr": {"log_uniform": [1e-4, 1e-2], "n": 3, "seed": 1},
            "policy_lr": {"log_uniform": [1e-4, 1e-2], "n": 3, "seed": 1},
            "width": [8, 16],
        },
        seeds=[5, 7],
    )
    groups = expand(load(words))
    assert [group.changes for group in groups] == [{"width": 8}, {"width": 16}]
    assert [len(group.members) for group in groups] == [12, 12]
    members = [member for group in groups for member in group.members]
    assert len({member.id for member in members}) == 24
    assert len({(member.seed, *member.changes.items()) for member in members}) == 24
    assert [member.seed for member in members[:2]] == [5, 7]
    sample = {(member.changes["critic_lr"], member.changes["policy_lr"]) for member in members}
    assert len(sample) == 3, "drawn axes are one sample, not crossed with one another"
    assert all(critic != policy for critic, policy in sample), "two axes with one seed must not draw the same"
    assert groups[0].config.agent.width == 8


def test_random_axes_are_the_same_on_every_machine():
    drawn = axis("critic_lr", {"log_uniform": [1e-4, 1e-2], "n": 4, "seed": 3}, Config()).values
    assert drawn == (0.00600597, 0.000309482, 0.000500176, 0.00018574)


def test_even_axes_reach_both_ends():
    assert axis("critic_lr", {"log": [1e-4, 1e-2], "n": 3}, Config()).values == (1e-4, 1e-3, 1e-2)
    assert axis("gamma", {"linear": [0.5, 0.9], "n": 5}, Config()).values == (0.5, 0.6, 0.7, 0.8, 0.9)
    assert axis("gamma", {"linear": [0.5, 0.9], "n": 1}, Config()).values == (0.5,)


def test_every_robot_starts_from_its_own_preset():
    groups = expand(load({"axes": {"env": ["brax/inverted_pendulum", "brax/ant"]}}))
    assert [group.config.env.env for group in groups] == ["brax/inverted_pendulum", "brax/ant"]
    assert groups[0].config.training.steps != groups[1].config.training.steps


def test_a_mapping_and_a_file_say_the_same(tmp_path):
    words = tiny.spec({"gamma": [0.8, 0.9], "critic_lr": {"log": [1e-4, 1e-2], "n": 2}}, seeds=[3, 4])
    path = tmp_path / "spec.toml"
    path.write_text(tiny.toml(words))
    assert load(path) == load(words)


def test_a_members_own_settings_are_checked_before_training():
    with pytest.raises(ConfigError, match="target_entropy"):
        plan(load(tiny.spec({"target_entropy": [-1.0, 5.0]})))


def test_an_algorithm_is_an_axis_and_each_starts_from_its_own_preset():
    spec = load({"base": {"env": "probe/bounded-lq", "width": 16}, "axes": {"algorithm": ["soft-q", "mpo"]}})
    configs = [group.config for group in expand(spec)]
    assert [config.algorithm for config in configs] == ["soft-q", "mpo"]
    assert [flat(config)["width"] for config in configs] == [16, 16]
    assert flat(configs[0])["value_particles"] == 32 and flat(configs[1])["action_draws"] == 8
    with pytest.raises(ConfigError, match="unknown algorithm 'mppo'; did you mean 'mpo'"):
        expand(load({"axes": {"algorithm": ["sac", "mppo"]}}))
    with pytest.raises(ConfigError, match="unknown setting 'value_particles'"):
        expand(load({"base": {"value_particles": 8}, "axes": {"algorithm": ["soft-q", "sac"]}}))
