"""Two Ray nodes on this machine stand in for two machines: jobs on both, one that is lost, a suite's table."""

import json
import os
from functools import partial

import pytest
import ray_jobs
from test_suite_reading import plan, records

from trainers.cli import main
from trainers.ray_pool import OF_OUR_RAY, RayPool
from trainers.suites.run import read_suite
from trainers.workers import Workers

pytest.importorskip("ray")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    """A head with one CPU. Nobody is connected to it."""
    from ray.cluster_utils import Cluster

    os.environ.update(OF_OUR_RAY)
    started = Cluster(initialize_head=True, head_node_args={"wait": False, "num_cpus": 1, "include_dashboard": False})
    yield started
    started.shutdown()


@pytest.fixture
def second(cluster):
    """A second node of it, with one CPU."""
    node = cluster.add_node(wait=False, num_cpus=1)
    cluster.wait_for_nodes(timeout=300)
    yield node
    if node in cluster.worker_nodes:
        cluster.remove_node(node)


def test_a_suite_played_on_two_machines_leaves_the_records_of_one_process(cluster, second, tmp_path):
    arms = ["random", "first", "shuffled", "rag"]
    read_suite(plan(streams=4, arms=arms), tmp_path / "alone")
    read_suite(plan(streams=4, arms=arms), tmp_path / "ray", workers=Workers(2, cluster.address))
    assert records(tmp_path / "ray", arms) == records(tmp_path / "alone", arms)


def test_a_machine_that_is_lost_in_the_middle_costs_no_job(cluster, second, tmp_path):
    jobs = [1, 2, 3, 4]
    for name in ("both", "one"):
        (tmp_path / name).mkdir()
    with RayPool(2, cluster.address) as pool:
        # Two workers of one CPU each are on two machines.
        found = dict(pool.run(partial(ray_jobs.together, tmp_path / "both", "nowhere"), jobs))
        assert sorted(found) == jobs
        assert len(set(found.values())) == 2

        def lose():
            begun = tmp_path / "one"
            while cluster.worker_nodes and len(list(begun.iterdir())) >= 2:
                cluster.remove_node(second, allow_graceful=False)

        # The second machine takes a job and never ends it; then it is gone.
        found = dict(pool.run(partial(ray_jobs.together, tmp_path / "one", second.node_id), jobs, idle=lose))
        assert sorted(found) == jobs
        assert second.node_id not in found.values()
        begun = sorted(path.name.partition("-")[0] for path in (tmp_path / "one").iterdir())
        assert len(begun) == len(jobs) + 1


def test_the_command_gives_the_same_table(cluster, second, tmp_path):
    small = ["--suite", "builtin", "--T", "4", "--streams", "2", "--controls", "random", "first"]
    main(["evaluate", *small, "--out", str(tmp_path / "alone")])
    main(["evaluate", *small, "--workers", "2", "--ray", cluster.address, "--out", str(tmp_path / "ray")])
    assert scores(tmp_path / "ray") == scores(tmp_path / "alone")
    with pytest.raises(SystemExit, match="3 workers want 3 CPUs, and the Ray cluster has 2"):
        main(["evaluate", *small, "--workers", "3", "--ray", cluster.address, "--out", str(tmp_path / "many")])


def scores(folder):
    found = json.loads((folder / "table.json").read_text())
    return {row["agent"]: row["of_subtasks"] for row in found["rows"]}
