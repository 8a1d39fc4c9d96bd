-- The register as of the newest night: the monthly full extract with the changes after it, the last one of each unit.
-- $since: last day of the month the extract is of (its own content holds all earlier changes).
WITH changed AS (
    SELECT * FROM collect_register_delta__rows_received
    WHERE ref_period > $since
    QUALIFY row_number() OVER (PARTITION BY uscc ORDER BY ref_period DESC) = 1
)
SELECT * FROM collect_register__rows_received AS full_extract
WHERE NOT EXISTS (SELECT 1 FROM changed WHERE changed.uscc = full_extract.uscc)
UNION ALL BY NAME
SELECT * EXCLUDE (change, ref_period)
       REPLACE (CASE change WHEN '3' THEN coalesce(closing_date, CAST(ref_period AS DATE)) ELSE closing_date END AS closing_date)
FROM changed
ORDER BY uscc
