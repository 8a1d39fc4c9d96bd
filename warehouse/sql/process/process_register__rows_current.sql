-- The register as of the newest night: the monthly full extract with the last change of each unit after it.
SELECT * FROM collect_register__rows_received AS full_extract
WHERE NOT EXISTS (SELECT 1 FROM process_register__rows_changed AS changed WHERE changed.uscc = full_extract.uscc)
UNION ALL BY NAME
SELECT * FROM process_register__rows_changed
ORDER BY uscc
