#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# build_cost.sh COMPILER INCLUDE [COUNT...] | COMPILER INCLUDE --gate STORE KIB
# What a file costs to compile at -O2 that has so many policies, each with a value, a store and a loader of
# its own: user CPU seconds, peak memory, bytes of code, and what each further policy adds. The same by hand,
# with hiredis and nlohmann_json, stands beside it. Times are told, and not judged: they are the machine's.
# The code is the compiler's: with --gate that of the second policy over one store is bounded.
set -euo pipefail
compiler=$1 include=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

by_hand() { # the policy number $1
    cat <<END
struct Policy$1 {
    redisContext* redis;
    Source$1 source;
    using Reply = std::unique_ptr<redisReply, void (*)(void*)>;
    Reply ask(const std::vector<std::string>& words) {
        std::vector<const char*> texts;
        std::vector<std::size_t> sizes;
        for (const auto& word : words) { texts.push_back(word.data()); sizes.push_back(word.size()); }
        Reply reply{static_cast<redisReply*>(redisCommandArgv(redis, static_cast<int>(texts.size()),
                                                              texts.data(), sizes.data())),
                    freeReplyObject};
        if (!reply || reply->type == REDIS_REPLY_ERROR) { throw std::runtime_error{"redis"}; }
        return reply;
    }
    std::optional<Value$1> get(int key) {
        const std::string name = "value$1:" + std::to_string(key);
        if (const Reply reply = ask({"GET", name}); reply->type == REDIS_REPLY_STRING) {
            return nlohmann::json::parse(reply->str, reply->str + reply->len).get<Value$1>();
        }
        auto value = source.load(key);
        if (value) { ask({"SET", name, nlohmann::json(*value).dump(), "EX", "300"}); }
        return value;
    }
    void put(int key, const Value$1& value) { source.save(key, value); invalidate(key); }
    bool invalidate(int key) { return ask({"DEL", "value$1:" + std::to_string(key)})->integer == 1; }
};
Policy$1* make$1(redisContext* redis) { return new Policy$1{redis, {}}; }
END
}

by_larder() { # the policy number $1, over the store $2
    if [[ $2 == RedisStore ]]; then
        echo "using Store$1 = larder::RedisStore<int, Value$1>;"
        echo "Store$1 store$1(larder::redis::Client redis) { return {redis, \"value$1\"}; }"
    else
        echo "using Store$1 = larder::MemoryStore<int, Value$1>;"
        echo "Store$1 store$1() { return Store$1{{.capacity = 1000}}; }"
    fi
    echo "using Policy$1 = larder::CacheAside<Store$1, Source$1>;"
    echo "Policy$1* make$1(Store$1 store) { return new Policy$1{store, Source$1{}, {}}; }"
}

generate() { # $1 policies over $2
    echo '#include <optional>'
    echo '#include <string>'
    case $2 in
        hand) printf '#include <%s>\n' hiredis/hiredis.h nlohmann/json.hpp memory stdexcept vector ;;
        RedisStore) printf '#include <larder/%s.hpp>\n' json larder redis ;;
        MemoryStore) printf '#include <larder/larder.hpp>\n' ;;
    esac
    local i
    for ((i = 0; i < $1; ++i)); do
        echo "struct Value$i { int id$i = 0; std::string name$i; double price$i = 0; };"
        [[ $2 == MemoryStore ]] || echo "NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Value$i, id$i, name$i, price$i)"
        echo "struct Source$i { std::optional<Value$i> load(int); void save(int, const Value$i&); void remove(int); };"
        if [[ $2 == hand ]]; then by_hand "$i"; else by_larder "$i" "$2"; fi
        cat <<END
std::optional<Value$i> get$i(Policy$i& policy, int key) { return policy.get(key); }
void put$i(Policy$i& policy, int key, const Value$i& value) { policy.put(key, value); }
bool invalidate$i(Policy$i& policy, int key) { return policy.invalidate(key); }
void end$i(Policy$i* policy) { delete policy; }
END
    done
}

measure() { # $1 policies over $2: seconds, MiB, bytes of code
    generate "$1" "$2" >"$work/it.cpp"
    local timer=()
    [[ ! -x /usr/bin/time ]] || timer=(/usr/bin/time -o "$work/time" -f '%U %M')
    echo '0 0' >"$work/time"
    "${timer[@]}" "$compiler" -std=c++20 -O2 -I "$include" -c "$work/it.cpp" -o "$work/it.o"
    local code
    code=$(size -A "$work/it.o" | awk '$1 ~ /^\.text/ { all += $2 } END { print all }')
    awk -v code="$code" '{ printf "%.2f %d %d\n", $1, $2 / 1024, code }' "$work/time"
}

if [[ ${1:-} == --gate ]]; then
    one=$(measure 1 "$2" | cut -d' ' -f3)
    two=$(measure 2 "$2" | cut -d' ' -f3)
    echo "$2: $(((two - one) / 1024)) KiB of code for a further policy (at most $3)"
    ((two - one <= $3 * 1024))
    exit
fi
(($# > 0)) || set -- 1 2 16
printf '%-12s %8s %8s %8s %9s   %s\n' store policies 'user s' 'peak MiB' 'code B' 'each further one'
for store in hand MemoryStore RedisStore; do
    first=''
    for n in "$@"; do
        found=$(measure "$n" "$store")
        first=${first:-$n $found}
        read -r n0 s0 m0 c0 <<<"$first"
        read -r s m c <<<"$found"
        further=$(awk -v n="$((n - n0))" -v s="$s" -v s0="$s0" -v m="$m" -v m0="$m0" -v c="$c" -v c0="$c0" \
            'n > 0 { printf "%.2f s, %.1f MiB, %.1f KiB of code", (s - s0) / n, (m - m0) / n, (c - c0) / n / 1024 }' <<<'')
        printf '%-12s %8d %8s %8s %9s   %s\n' "$store" "$n" "$s" "$m" "$c" "$further"
    done
done
