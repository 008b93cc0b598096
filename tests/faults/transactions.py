"""A program that writes rows and runs in random transactions until it is killed."""

import asyncio
import random
import sys

import psycopg

import zato_lite


async def main(url: str, seed: int, count: int) -> None:
    dice = random.Random(seed)
    connection = await psycopg.AsyncConnection.connect(url)
    for number in range(count):
        key = f"{seed}-{number}"
        for _ in range(dice.randint(1, 3)):
            run = await zato_lite.enqueue(
                connection, "orders.ship", {"key": key}, on_behalf_of="system"
            )
            await connection.execute("INSERT INTO orders VALUES (%s, %s)", (key, run))
        if dice.random() < 0.4:
            await connection.rollback()
            sys.stdout.write("rolled back\n")
        else:
            await connection.commit()
            sys.stdout.write(f"{key}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
