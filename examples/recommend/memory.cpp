// SPDX-License-Identifier: MIT
#include "memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include <prefer/expects.hpp>

namespace recommend {

namespace {

/// Gigabytes, or megabytes where there is less than one.
std::string in_words(double bytes) {
  char text[32];
  bool const small = bytes < 1e9;
  std::snprintf(text, sizeof text, small ? "%.0f MB" : "%.2f GB", bytes / (small ? 1e6 : 1e9));
  return text;
}

}  // namespace

std::vector<memory_part> memory_of(interactions const& data, study_options const& options,
                                   std::size_t models) {
  auto const people = static_cast<double>(data.people.size());
  auto const items = static_cast<double>(data.items);
  auto const factors = static_cast<double>(options.factors);
  auto const number = static_cast<double>(sizeof(float));
  double const parameters = ((people + items) * factors + items) * number;
  double const draws = static_cast<double>(options.pairs_per_person * options.tune_epochs) *
                       static_cast<double>(data.people_with_preferences());
  double const events = static_cast<double>(data.train_events());
  // A model has values, gradients, and items once more for products; of those that are there one is trained at a time.
  constexpr double kept_rows = 64.0 * 1024 * 1024;
  double const batch = static_cast<double>(options.batch_size);
  return {
      {"models", static_cast<double>(models) * (2 * parameters + items * factors * number)},
      {"optimizer", 2 * parameters},
      {"normalisers", options.samples != 0
                          ? 2 * batch * static_cast<double>(options.samples) * 2 * number
                          : 2 * std::max(kept_rows, items * number) + people * 32},
      // Two labelled examples of a draw: ids, offset, label and the other item, what the reference says, their order.
      {"drawn preferences", std::max(draws * 80, events * 32)},
      {"judging", static_cast<double>(bytes_to_judge(data.people.size(), data.items)) +
                      2 * items * factors * number + people * 64}};
}

double available_memory() {
  double bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  for (char const* const path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    double limit = 0.0;
    if (std::ifstream(path) >> limit && limit > 0.0) bytes = std::min(bytes, limit);
  }
  return bytes;
}

void expect_memory(std::vector<memory_part> const& parts, double available) {
  double sum = 0.0;
  std::string sentence;
  for (memory_part const& part : parts) {
    sum += part.bytes;
    sentence += (sentence.empty() ? "" : ", ") + part.what + " " + in_words(part.bytes);
  }
  if (sum <= available) return;
  prefer::refuse("this study takes " + in_words(sum) + " of memory besides its data (" + sentence +
                 ") and " + in_words(available) +
                 " are available; fewer --factors or --pairs take less, --memory says that there "
                 "is more");
}

}  // namespace recommend
