-- SPDX-License-Identifier: MIT
-- The lua trace: a trie of the words of texts, a Markov chain over them that writes new text, and a
-- small parser that turns what it wrote into nested tables and evaluates them. Tables, strings
-- and closures come and go with Lua's own collector, as in a game or an editor's plug-ins.

local function words_of(paths)
    local words = {}
    for _, path in ipairs(paths) do
        for line in io.lines(path) do
            for word in line:gmatch("%a+") do
                words[#words + 1] = word:lower()
            end
        end
    end
    return words
end

local function trie_add(trie, word)
    local node = trie
    for letter in word:gmatch(".") do
        node[letter] = node[letter] or {}
        node = node[letter]
    end
    node.count = (node.count or 0) + 1
end

local function chain_of(words)
    local chain = {}
    for i = 1, #words - 2 do
        local key = words[i] .. " " .. words[i + 1]
        chain[key] = chain[key] or {}
        table.insert(chain[key], words[i + 2])
    end
    return chain
end

-- A generator of its own, so that the run is the same everywhere.
local seed = 20240229
local function random(n)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 65536 % n + 1
end

local function sentence(chain, first, second, length)
    local out = { first, second }
    for _ = 1, length do
        local followers = chain[out[#out - 1] .. " " .. out[#out]]
        if not followers then
            break
        end
        out[#out + 1] = followers[random(#followers)]
    end
    return table.concat(out, " ")
end

-- Every word becomes a node of a balanced tree of closures; calling the root counts letters.
local function tree_of(words, low, high)
    if low == high then
        local word = words[low]
        return function() return #word end
    end
    local middle = (low + high) // 2
    local left, right = tree_of(words, low, middle), tree_of(words, middle + 1, high)
    return function() return left() + right() end
end

local words = words_of(arg)
local trie = {}
for _, word in ipairs(words) do
    trie_add(trie, word)
end
local chain = chain_of(words)
local letters, text = 0, {}
for i = 1, 60 do
    local start = random(#words - 2)
    text[i] = sentence(chain, words[start], words[start + 1], 60)
    local parts = {}
    for word in text[i]:gmatch("%a+") do
        parts[#parts + 1] = word
    end
    letters = letters + tree_of(parts, 1, #parts)()
end
print(#words .. " words, " .. letters .. " letters written: " .. text[1]:sub(1, 60))
