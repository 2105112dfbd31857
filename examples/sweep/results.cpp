// SPDX-License-Identifier: MIT
#include "results.hpp"

#include <cmath>
#include <functional>
#include <utility>

#include <prefer/text/number.hpp>

namespace sweep {

namespace {

using prefer::text::shortest;

// What identifies a row, then what was measured. No field needs quotes: names of losses carry no comma.
constexpr char const* header =
    "settings,loss,beta,reference,flip,bias,seed,steps,"
    "reward,kl_start,kl_reference,best_reward";
constexpr std::size_t key_fields = 8;

std::string numbers_of(setting const& what, judgement const& q) {
  return shortest(q.reward) + "," + shortest(q.kl_start) + "," +
         (what.reference == "none" ? "" : shortest(q.kl_reference)) + "," +
         (q.best_reward ? shortest(*q.best_reward) : "");
}

judgement judgement_of(std::string const& numbers) {
  auto const values = fields_of(numbers);
  auto const number = [&](std::size_t i) { return number_in_field(values[i]); };
  return {.reward = number(0).value_or(NAN),
          .kl_start = number(1).value_or(NAN),
          .kl_reference = number(2).value_or(NAN),
          .best_reward = number(3)};
}

}  // namespace

results::results(std::string path, std::string settings, grid const& all)
    : all_(all), rows_(std::move(path), header, key_fields, std::move(settings)) {}

std::string results::key(setting const& what, std::uint64_t seed, std::uint64_t steps) const {
  return rows_.settings() + "," + all_.losses[what.loss].text + "," +
         (what.beta ? shortest(*what.beta) : "") + "," + what.reference + "," +
         shortest(what.noise.flip) + "," + shortest(what.noise.bias) + "," + std::to_string(seed) +
         "," + std::to_string(steps);
}

bool results::has(setting const& what, std::uint64_t seed) const {
  for (auto const steps : all_.steps) {
    if (rows_.find(key(what, seed, steps)) == nullptr) return false;
  }
  return true;
}

void results::add(setting const& what, std::uint64_t seed, std::vector<measurement> const& rows) {
  std::vector<row_file::row> out;
  for (auto const& row : rows) {
    out.push_back({key(what, seed, row.steps), numbers_of(what, row.quality)});
  }
  rows_.add(out);
}

void results::finish() {
  rows_.finish([&](std::function<void(std::string const&)> const& write) {
    for (auto const& what : all_.settings()) {
      for (std::uint64_t seed = 1; seed <= all_.seeds; ++seed) {
        for (auto const steps : all_.steps) write(key(what, seed, steps));
      }
    }
  });
}

std::vector<results::seed_result> results::at(setting const& what, std::uint64_t steps) const {
  std::vector<seed_result> out;
  for (std::uint64_t seed = 1; seed <= all_.seeds; ++seed) {
    auto const* const found = rows_.find(key(what, seed, steps));
    if (found != nullptr) out.push_back({seed, judgement_of(*found)});
  }
  return out;
}

}  // namespace sweep
