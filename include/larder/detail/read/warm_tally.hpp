// SPDX-License-Identifier: MIT

/// @file
/// What became of all keys of one `warm`, as it goes and at its end.

#ifndef LARDER_DETAIL_READ_WARM_TALLY_HPP
#define LARDER_DETAIL_READ_WARM_TALLY_HPP

#include <larder/detail/read/warm_batch.hpp>
#include <larder/policy/warm_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Thread safety: `add` may run concurrently.
template <class K>
class WarmTally {
public:
    /// @param total  how many keys there are, where that is known
    WarmTally(const WarmOptions& options, std::optional<std::size_t> total) : options_{options} {
        progress_.total = total;
    }

    /// Adds up what became of a batch, and tells of it.
    ///
    /// @throws whatever `progress` throws, which is told of nothing more
    void add(WarmBatch<K>& batch) {
        using Fate = typename WarmBatch<K>::Fate;
        const std::scoped_lock lock{mutex_};
        progress_.skipped += batch.repeated;
        std::vector<K> failed;
        for (std::size_t at = 0; at < batch.fates.size(); ++at) {
            switch (batch.fates[at]) {
                case Fate::filled: ++progress_.filled; break;
                case Fate::absent: ++progress_.absent; break;
                case Fate::skipped: ++progress_.skipped; break;
                case Fate::failed:
                    ++progress_.failed;
                    failed.push_back(std::move(batch.keys[at]));
                    break;
            }
        }
        if (!failed.empty()) {
            failed_.push_back({batch.number, std::move(failed), std::move(batch.failure)});
        }
        progress_.done = progress_.filled + progress_.absent + progress_.failed + progress_.skipped;
        if (options_.progress && !mute_) {
            mute_ = true;  // and stays so if it throws
            options_.progress(progress_);
            mute_ = false;
        }
    }

    /// Once no batch runs any more.
    [[nodiscard]] WarmReport<K> report(std::chrono::nanoseconds elapsed, bool stopped) {
        WarmReport<K> report{progress_.filled, progress_.absent, progress_.failed,
                             progress_.skipped, elapsed};
        report.stopped = stopped;
        std::sort(failed_.begin(), failed_.end(),
                  [](const Failed& a, const Failed& b) { return a.batch < b.batch; });
        for (Failed& batch : failed_) {
            report.failed_keys.insert(report.failed_keys.end(),
                                      std::make_move_iterator(batch.keys.begin()),
                                      std::make_move_iterator(batch.keys.end()));
        }
        if (!failed_.empty()) {
            report.failure = failed_.front().why;
        }
        return report;
    }

private:
    struct Failed {
        std::size_t batch;
        std::vector<K> keys;
        std::exception_ptr why;
    };

    const WarmOptions& options_;
    std::mutex mutex_{};  // guards what follows
    WarmProgress progress_{};
    std::vector<Failed> failed_{};
    bool mute_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_WARM_TALLY_HPP
