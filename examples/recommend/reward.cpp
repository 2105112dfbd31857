// SPDX-License-Identifier: MIT
#include "reward.hpp"

#include <prefer/file/fingerprint.hpp>
#include <prefer/loss/bradley_terry.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>

namespace recommend {

reward_model fit_reward(model const& start, prefer::choice_data const& pairs, double centering,
                        prefer::train_options const& training, training_guard const& guard,
                        std::string const& unit) {
  reward_model out(start);
  prefer::no_reference<float> none;
  prefer::trainer run(out, prefer::bradley_terry{.centering = centering}, none, pairs, training);
  guard.run(run, unit);
  return out;
}

void item_reward::operator()(prefer::written_completions const& written,
                             std::span<double> out) const {
  std::vector<std::uint32_t> item;
  for (std::size_t i = 0; i < written.size(); ++i) item.push_back(written.tokens(i).front());
  std::vector<std::size_t> const offset = {0, item.size()};
  std::vector<float> score(item.size());
  model_->log_prob(
      prefer::choice_batch{
          .prompt = std::span(&written.prompt, 1), .completion = item, .offset = offset},
      std::span<float>(score));
  for (std::size_t i = 0; i < score.size(); ++i) out[i] = static_cast<double>(score[i]);
}

std::uint64_t item_reward::identity() const {
  prefer::fingerprint out;
  out.add("item_reward");
  for (auto const& each : model_->parameters()) out.add(std::span<float const>(each.value));
  return out.value();
}

}  // namespace recommend
