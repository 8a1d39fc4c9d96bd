"""Entry of the process that Dagster Pipes starts: its functions then belong to a module that Spark's workers import."""

from etl.engines.spark import main

if __name__ == "__main__":
    main()
