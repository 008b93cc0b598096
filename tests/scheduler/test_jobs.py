from zato_lite.scheduler.jobs import Jobs


def test_there_is_one_door_to_jobs() -> None:
    door = Jobs

    assert {"create", "edit", "delete", "execute", "history"} <= set(dir(door))
