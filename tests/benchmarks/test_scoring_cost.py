"""What scoring costs is measured in processes of their own, which can find no function of a package's __main__."""
import pathlib
import re

import small

from benchmarks.scoring import cost


def test_seconds_and_memory_come_from_other_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, 'ROUNDS', 1)
    clips = small.moving(tmp_path / 'clips', ['a.mp4'])
    (scoring, decoding), = cost.speed([str(pathlib.Path(clips, 'a.mp4'))], 1)
    assert scoring > 0 and decoding > 0 and cost.memory(10) > 50
    assert cost.decode(str(pathlib.Path(clips, 'a.mp4'))) == 8 and cost.decode(str(tmp_path)) == 0


def test_no_package_gives_a_pool_a_function_of_its_main():
    for path in small.ROOT.glob('*/**/__main__.py'):
        text = path.read_text(encoding='utf-8')
        own = set(re.findall(r'^def (\w+)', text, re.M))
        assert own.isdisjoint(re.findall(r'\bpool\.(?:map|submit|schedule)\((\w+)', text)), path
