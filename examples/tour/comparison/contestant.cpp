// SPDX-License-Identifier: MIT

#include "contestant.hpp"

namespace examples {

template std::unique_ptr<Contestant> make_contestant(Strategy, InMemory, Database&);

}  // namespace examples
