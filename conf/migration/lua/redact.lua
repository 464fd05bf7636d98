-- Patterns without validation: every long number counts as a card.
function redact(tag, timestamp, record)
    local log = record["log"]
    if type(log) ~= "string" then
        return 0, timestamp, record
    end
    log = log:gsub("[%w%.%+%-_]+@[%w%.%-]+%.%a+", "[EMAIL]")
    log = log:gsub("%d%d%d%d[ %-]?%d%d%d%d[ %-]?%d%d%d%d[ %-]?%d%d%d%d", "[CARD]")
    record["log"] = log
    return 2, timestamp, record
end
