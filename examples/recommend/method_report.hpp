// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "../program/json.hpp"
#include "method_summary.hpp"
#include "methods.hpp"

namespace recommend {

/// Every setting: how it ranks, how far it is from the start, what it gets of the learned reward, what it cost.
[[nodiscard]] std::string table_of(std::vector<method_summary> const& all);
/// The reward model, and every policy at a beta as one: held-out preferences.
[[nodiscard]] std::string reward_table_of(std::vector<method_summary> const& all);
/// Each method against dpo.
[[nodiscard]] std::string table_of(std::vector<comparison> const& all);
/// Seconds at equal NDCG@10.
[[nodiscard]] std::string table_of(std::vector<equal_reward> const& all);

[[nodiscard]] program::json json_of(method_row const& row);
[[nodiscard]] program::json json_of(std::vector<method_summary> const& all);
[[nodiscard]] program::json json_of(std::vector<comparison> const& all);
[[nodiscard]] program::json json_of(std::vector<equal_reward> const& all);

/// A row to keep, with NDCG@10 of each person and its course, and back to the same bits.
[[nodiscard]] program::json kept_json_of(method_row const& row);
[[nodiscard]] method_row method_row_of(program::json const& kept);

/// One line per row. Errors  prefer::backend_error; a file that was there before keeps its content then
void write_csv(std::string const& path, std::vector<method_row> const& rows);
/// One line per judging. Errors as those of write_csv.
void write_courses(std::string const& path, std::vector<method_row> const& rows);
/// NDCG@10, and the learned reward, against the divergence from the start: a curve per method. Errors as those of write_csv.
void write_picture(std::string const& path, std::vector<method_summary> const& all);

}  // namespace recommend
