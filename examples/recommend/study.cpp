// SPDX-License-Identifier: MIT
#include "study.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <utility>

#include <prefer/data/comparisons.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>
#include <prefer/model/sampled_softmax.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/order.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/text/number.hpp>
#include <prefer/train/trainer.hpp>

namespace recommend {

namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point begin) {
  return std::chrono::duration<double>(clock::now() - begin).count();
}

prefer::choice_data events_of(interactions const& data) {
  prefer::choice_data out;
  for (std::uint32_t p = 0; p < data.people.size(); ++p) {
    for (std::uint32_t const item : data.people[p].train_items) out.add_labelled(p, item, true);
  }
  return out;
}

/// Mean over held-out preferences of what a reference says of chosen minus of rejected, nats.
double mean_margin(interactions const& data, auto& reference) {
  double total = 0.0;
  prefer::choice_data asked;
  std::vector<float> said;
  for (std::uint32_t p = 0; p < data.people.size(); ++p) {
    auto const& pairs = data.people[p].test_preferences;
    constexpr std::size_t block = 4096;  // a person may have any number
    for (std::size_t first = 0; first < pairs.size(); first += block) {
      asked = {};
      for (std::size_t k = first; k < std::min(first + block, pairs.size()); ++k) {
        asked.add_pair(p, pairs[k].chosen, pairs[k].rejected);
      }
      said.resize(asked.completion.size());
      reference.log_prob(asked.batch(), said);
      for (std::size_t i = 0; i < said.size(); i += 2) {
        total += static_cast<double>(said[i]) - static_cast<double>(said[i + 1]);
      }
    }
  }
  return total / static_cast<double>(data.test_preferences());
}

bool among(std::vector<std::string> const& chosen, std::string const& name) {
  return chosen.empty() || std::find(chosen.begin(), chosen.end(), name) != chosen.end();
}

}  // namespace

std::vector<setting> settings_of(study_options const& options, bool groups) {
  std::vector<setting> all;
  for (char const* const reference : {"trained", "popularity", "group", "person", "none"}) {
    if (!among(options.references, reference)) continue;
    if (!groups && std::string(reference) == "group") continue;
    for (double const beta : options.betas) all.push_back({"dpo", beta, reference});
  }
  // The scale of beta differs from loss to loss, so each has its own range.
  for (double const beta : {0.5, 1.0, 2.0, 5.0, 10.0})
    all.push_back({"softmax_dpo", beta, "trained"});
  for (double const beta : {0.05, 0.1, 0.2, 0.5, 1.0}) all.push_back({"ipo_sum", beta, "trained"});
  for (double const beta : {1.0, 2.0, 5.0, 10.0}) all.push_back({"simpo", beta, "none"});
  for (double const beta : {1.0, 2.0, 5.0, 10.0}) all.push_back({"kto", beta, "trained"});
  std::erase_if(all, [&](setting const& each) { return !among(options.losses, each.loss); });
  return all;
}

std::string study::start_unit(std::uint64_t seed) { return "start-" + std::to_string(seed); }
std::string study::unit(setting const& what) const {
  return what.loss + "-" + prefer::text::shortest(what.beta) + "-" + what.reference + "-" +
         std::to_string(seed_);
}

study::study(interactions const& data, study_options const& options, prefer::executor threads,
             training_guard guard)
    : data_(data),
      options_(options),
      threads_(threads),
      guard_(std::move(guard)),
      start_(data.people.size(), data.items, options.factors),
      popular_(data),
      personal_(data) {}

namespace {

prefer::sampled_softmax_options sampling(study_options const& options, std::size_t items,
                                         std::uint64_t seed) {
  return {.samples = std::min(options.samples, items), .seed = seed};
}

}  // namespace

training_cost train_start(model& policy, interactions const& data, study_options const& options,
                          std::uint64_t seed, prefer::executor threads,
                          training_guard const& guard) {
  std::uint64_t purpose_index = 0;
  for (auto const& parameter : policy.parameters()) {
    double const spread = parameter.name == "bias" ? 0.0 : 0.1;
    prefer::fill_normal(
        parameter.value,
        {.seed = seed, .purpose = prefer::random_purpose::initial_values, .step = purpose_index++},
        0.0, spread);
  }
  prefer::choice_data const events = events_of(data);
  prefer::no_reference<float> none;
  auto const begin = clock::now();
  auto const learn = [&](auto& learner) {
    prefer::trainer run(learner, likelihood, none, events,
                        {.batch_size = options.batch_size,
                         .epochs = options.start_epochs,
                         .seed = seed,
                         .rate = options.start_rate,
                         .optimizer = {.weight_decay = options.start_weight_decay},
                         .threads = threads});
    guard.run(run, study::start_unit(seed));
  };
  if (options.samples == 0) {
    learn(policy);
  } else {
    prefer::sampled_softmax sampled(policy, sampling(options, data.items, seed));
    learn(sampled);
  }
  return {seconds_since(begin), events.size()};
}

study_row study::start(std::uint64_t seed) {
  seed_ = seed;
  training_cost const cost = train_start(start_, data_, options_, seed, threads_, guard_);

  start_.use(threads_);  // the trainer gave its threads back
  drawn_ = {};
  study_row row{.loss = "start", .beta = 0.0, .reference = "none", .seed = seed};
  auto const said = said_by(start_, threads_);
  row.quality = judge(data_, said, said, threads_);
  row.seconds = cost.seconds;
  row.pairs_per_second = static_cast<double>(cost.examples) *
                         static_cast<double>(options_.start_epochs) / cost.seconds;
  return row;
}

prefer::choice_data const& study::drawn(example_form form) {
  if (drawn_.size() != 0 && form == form_) return drawn_;
  form_ = form;
  drawn_ = {};  // one form is in memory at a time
  std::size_t const draws = options_.pairs_per_person * options_.tune_epochs;
  std::vector<std::uint32_t> list;
  for (std::uint32_t p = 0; p < data_.people.size(); ++p) {
    person const& someone = data_.people[p];
    if (someone.train_preferences.empty()) continue;
    prefer::data::preference_order order(someone.train_preferences.given());
    prefer::random_stream numbers(
        {.seed = seed_, .purpose = prefer::random_purpose::data, .index = p});
    for (std::size_t d = 0; d < draws; ++d) {
      preference const drawn =
          someone.train_preferences[prefer::below(numbers, someone.train_preferences.size())];
      // All forms take the same numbers, so that they are of the same preferences.
      std::vector<std::uint32_t> others = someone.train_disliked;
      prefer::shuffle(std::span(others), numbers);
      if (form == example_form::pairs) {
        drawn_.add_pair(p, drawn.chosen, drawn.rejected);
      } else if (form == example_form::labelled) {
        drawn_.add_labelled(p, drawn.chosen, true);
        drawn_.add_labelled(p, drawn.rejected, false);
      } else {
        list = {drawn.chosen, drawn.rejected};
        // What this person prefers to the chosen item, if only along a chain, is no negative of it.
        auto const over = order.over(drawn.chosen);
        for (std::uint32_t const other : others) {
          if (list.size() > options_.negatives) break;
          if (std::binary_search(over.begin(), over.end(), other)) continue;
          if (other != drawn.chosen && other != drawn.rejected) list.push_back(other);
        }
        drawn_.add_list(p, list);
      }
    }
  }
  if (form == example_form::labelled) drawn_.pair_with_others();
  if (form == example_form::pairs) {
    drawn_.length.assign(drawn_.completion.size(), 1.0f);  // an item is one choice; for simpo
  }
  return drawn_;
}

study_row study::tune(setting const& what) {
  model policy = start_;
  tuning const took = tune(policy, what);
  study_row row{.loss = what.loss, .beta = what.beta, .reference = what.reference, .seed = seed_};
  row.seconds = took.seconds;
  row.pairs_per_second = static_cast<double>(options_.pairs_per_person * options_.tune_epochs *
                                             data_.people_with_preferences()) /
                         took.seconds;
  row.quality = judge(data_, said_by(policy, threads_), said_by(start_, threads_), threads_);
  double const reference_margin =
      what.reference == "trained" ? row.quality.start_margin : took.reference_margin;
  row.reward_margin = what.beta * (row.quality.margin - reference_margin);
  return row;
}

tuning study::tune(model& policy, setting const& what) {
  tuning out;
  auto const train_as = [&](auto& learner, auto const& loss, auto& reference,
                            prefer::choice_data const& data) {
    auto const begin = clock::now();
    prefer::trainer run(learner, loss, reference, data,
                        {.batch_size = options_.batch_size,
                         .epochs = 1,  // the draws of all epochs are in the data
                         .seed = seed_,
                         .rate = options_.tune_rate,
                         .threads = threads_});
    guard_.run(run, unit(what));
    out.seconds = seconds_since(begin);
  };
  auto const train = [&](auto const& loss, auto& reference) {
    train_as(policy, loss, reference, drawn(example_form::pairs));
    out.reference_margin = mean_margin(data_, reference);
  };
  // The start model does not move, so what it says of the data is computed once.
  auto const with_start = [&](auto const& loss, prefer::choice_data const& data) {
    auto reference = prefer::cached<float>::of(start_, data);
    train_as(policy, loss, reference, data);
  };
  prefer::no_reference<float> none;

  if (what.loss == "dpo") {
    prefer::dpo const loss{.beta = what.beta};
    if (what.reference == "trained") {
      with_start(loss, drawn(example_form::pairs));
    } else if (what.reference == "popularity") {
      train(loss, popular_);
    } else if (what.reference == "group") {
      auto reference = personal_.of_groups();
      train(loss, reference);
    } else if (what.reference == "person") {
      auto reference = personal_.of_people();
      train(loss, reference);
    } else {
      train(loss, none);
    }
  } else if (what.loss == "softmax_dpo") {
    with_start(prefer::softmax_dpo{.beta = what.beta}, drawn(example_form::lists));
  } else if (what.loss == "ipo_sum") {
    with_start(prefer::ipo_sum{.beta = what.beta}, drawn(example_form::pairs));
  } else if (what.loss == "simpo") {
    train(prefer::simpo{.beta = what.beta, .gamma = 0.5 * what.beta}, none);
  } else if (what.loss == "kto") {
    prefer::kto const loss{.beta = what.beta};
    if (options_.samples == 0) {
      with_start(loss, drawn(example_form::labelled));
    } else {
      // The same draws for both, so that most of what an estimate is off by is off in both.
      auto const how = sampling(options_, data_.items, seed_);
      prefer::sampled_softmax reference(start_, how);
      prefer::sampled_softmax learner(policy, how);
      train_as(learner, loss, reference, drawn(example_form::labelled));
    }
  } else {
    prefer::refuse("study: unknown loss " + what.loss);
  }
  return out;
}

}  // namespace recommend
