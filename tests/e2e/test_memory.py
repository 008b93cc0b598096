import subprocess
import sys

HASHES = """
import asyncio
from pathlib import Path
from zato_lite.http.passwords import Passwords

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

async def main():
    passwords = Passwords()
    before = resident_mb()
    await asyncio.gather(*(passwords.hash("x") for _ in range(8)))
    passwords.close()
    print(resident_mb() - before)

asyncio.run(main())
"""


def test_hashes_of_passwords_leave_no_memory_behind() -> None:
    grown = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", HASHES], check=True, capture_output=True, text=True
    ).stdout

    assert int(grown) < 15  # 39 MB with the C library's own limit
