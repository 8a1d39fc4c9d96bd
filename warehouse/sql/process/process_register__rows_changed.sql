-- The last change of each unit after the full extract, as the register has its units.
-- $since: last day of the month the extract is of (its own content holds all earlier changes).
WITH changed AS (
    SELECT * FROM collect_register_delta__rows_received
    WHERE ref_period > $since
    QUALIFY row_number() OVER (PARTITION BY uscc ORDER BY ref_period DESC) = 1
)
SELECT * EXCLUDE (change, ref_period)
       REPLACE (CASE change WHEN '3' THEN coalesce(closing_date, CAST(ref_period AS DATE)) ELSE closing_date END AS closing_date)
FROM changed
ORDER BY uscc
