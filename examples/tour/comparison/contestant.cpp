// SPDX-License-Identifier: MIT

#include "contestant.hpp"

namespace examples {

template std::unique_ptr<Contestant> make_contestant(Strategy, InMemory, Database&);
#if defined(TOUR_WITH_REDIS)
template std::unique_ptr<Contestant> make_contestant(Strategy, InRedis, Database&);
#endif

}  // namespace examples
