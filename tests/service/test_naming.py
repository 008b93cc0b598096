from pathlib import PurePath

import pytest

from zato_lite.service.naming import service_name


@pytest.mark.parametrize(
    ("path", "cls", "name"),
    [
        ("services/my_service.py", "MyService", "my-service.my-service"),
        ("services/api.py", "GetSAPData", "api.get-sap-data"),
        ("services/mod.py", "CRMSync2", "mod.crm-sync2"),
        ("services/a_b.py", "My_Service", "a-b.my_service"),
        ("services/x.py", "HTTPGet2FA", "x.http-get2fa"),
        ("services/a.py", "B2BAlerting", "a.b2b-alerting"),
        ("services/a.py", "GetURL", "a.get-url"),
        ("services/scheduler_demo.py", "Scheduler", "scheduler-demo.scheduler"),
        ("services/crm/api.py", "Sync", "api.sync"),
        ("services/crm/__init__.py", "Sync", "crm.sync"),
        ("project/src/crm_api/sync/job.py", "Run", "crm-api.sync.job.run"),
        ("project/source/crm/__init__.py", "Run", "crm.run"),
    ],
)
def test_a_service_is_named_after_its_file_and_class(path: str, cls: str, name: str) -> None:
    assert service_name(PurePath(path), cls) == name
