// SPDX-License-Identifier: MIT

// What a thread is loading.

#include "support/catch.hpp"

#include <larder/detail/flight/load_frame.hpp>

#include <thread>
#include <vector>

using larder::detail::KeyFrame;
using larder::detail::KeysFrame;
using larder::detail::LoadFrame;
using larder::detail::MayWait;

TEST_CASE("a thread may not load what it is loading", "[flight]") {
    const int engine = 0;
    const int other_engine = 0;
    CHECK_FALSE(LoadFrame::any());
    const int one = 1;
    const KeyFrame<int> single{&engine, one};
    CHECK(LoadFrame::any());
    CHECK(LoadFrame::ask(&engine, 1) == MayWait::recursive);
    CHECK(LoadFrame::ask(&engine, 2) == MayWait::yes);
    CHECK(LoadFrame::ask(&other_engine, 1) == MayWait::yes);
    const std::vector<int> keys{5, 6, 7};
    const KeysFrame<int> batch{&engine, keys};
    CHECK(LoadFrame::ask(&engine, 6) == MayWait::recursive);  // it would be asked for it again
    CHECK(LoadFrame::ask(&engine, 1) == MayWait::recursive);
    {
        const KeyFrame<int> one_of_them{&engine, keys[0]};
        CHECK(LoadFrame::ask(&engine, 5) == MayWait::recursive);
        CHECK(LoadFrame::ask(&engine, 6) == MayWait::deadlock);  // for the sake of another
    }
    std::jthread{[&] { CHECK_FALSE(LoadFrame::any()); }}.join();
}
